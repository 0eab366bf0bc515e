"""Pools as rows: what of a state a swap can change, in the order in which it is written; all integers, exact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from app.venues.pools.amm_v4 import AmmV4Pool
from app.venues.pools.clmm import ClmmPool
from app.venues.pools.cpmm import CpmmPool
from app.venues.pools.damm_v2 import DammV2Pool
from app.venues.pools.damm_v2_volatility import Volatility
from app.venues.pools.dlmm import DlmmPool
from app.venues.routing.plan import PoolKind
from app.venues.simulated.genesis import (
    AMM_V4_FEE_DENOMINATOR,
    FUND_FEE_RATE,
    PROTOCOL_FEE_RATE,
    State,
    damm_v2_terms,
    dlmm_pool,
)
from app.venues.simulated.listings import LISTINGS, Listing


class PoolRow(msgspec.Struct, frozen=True, gc=False):
    """A pool's state, the base units in its vaults, and the slot in which both became so."""

    state: State
    balance_a: int
    balance_b: int
    slot: int


class WrittenPool(msgspec.Struct, frozen=True):
    """A row of simulated_chain.pools."""

    id: str
    venue: str
    kind: PoolKind
    mint_a: str
    mint_b: str
    state: list[Any]
    balance_a: int
    balance_b: int
    slot: int


class ReadPool(msgspec.Struct, frozen=True, array_like=True):
    """The part of the row that its listing does not say."""

    id: str
    state: list[Any]
    balance_a: int
    balance_b: int
    slot: int


def write_pool(pool_id: str, row: PoolRow) -> WrittenPool:
    listing = LISTINGS[pool_id]
    return WrittenPool(
        pool_id,
        listing.venue,
        listing.kind,
        listing.token_a.mint,
        listing.token_b.mint,
        _written(row.state),
        row.balance_a,
        row.balance_b,
        row.slot,
    )


def read_pool(written: ReadPool) -> PoolRow:
    listing = LISTINGS[written.id]
    state = _READERS[listing.kind](listing, written.state)
    return PoolRow(state, written.balance_a, written.balance_b, written.slot)


def _written(state: State) -> list[Any]:
    match state:
        case CpmmPool() | AmmV4Pool():
            return [state.reserve_a, state.reserve_b]
        case ClmmPool():
            return [state.tick, state.sqrt_price, state.liquidity, state.ticks, state.liquidity_nets]
        case DlmmPool():
            return [
                state.active_id,
                state.bin_ids[0],
                [(held.amount_x, held.amount_y) for held in state.bins],
                (state.volatility, state.volatility_reference, state.index_reference, state.updated_at),
                (state.unclaimed_x, state.unclaimed_y),
            ]
        case DammV2Pool():
            return [
                state.sqrt_price,
                state.liquidity,
                state.token_a_amount,
                state.token_b_amount,
                (state.terms.sqrt_min_price, state.terms.sqrt_max_price),
                msgspec.structs.astuple(state.volatility),
            ]


def _read_cpmm(listing: Listing, written: list[Any]) -> CpmmPool:
    reserve_a, reserve_b = written
    return CpmmPool(reserve_a, reserve_b, listing.fee, PROTOCOL_FEE_RATE, FUND_FEE_RATE)


def _read_amm_v4(listing: Listing, written: list[Any]) -> AmmV4Pool:
    reserve_a, reserve_b = written
    return AmmV4Pool(reserve_a, reserve_b, listing.fee_bps, AMM_V4_FEE_DENOMINATOR)


def _read_clmm(listing: Listing, written: list[Any]) -> ClmmPool:
    tick, sqrt_price, liquidity, ticks, nets = written
    return ClmmPool(
        listing.step,
        tick,
        sqrt_price,
        liquidity,
        0,
        listing.fee,
        PROTOCOL_FEE_RATE,
        FUND_FEE_RATE,
        tuple(ticks),
        tuple(nets),
    )


def _read_dlmm(listing: Listing, written: list[Any]) -> DlmmPool:
    active, first, amounts, volatility, unclaimed = written
    return dlmm_pool(listing, active, first, amounts, volatility=volatility, unclaimed=unclaimed)


def _read_damm_v2(listing: Listing, written: list[Any]) -> DammV2Pool:
    sqrt_price, liquidity, amount_a, amount_b, (low, high), volatility = written
    terms = damm_v2_terms(listing, low, high)
    return DammV2Pool(terms, sqrt_price, liquidity, amount_a, amount_b, Volatility(*volatility))


_READERS: Final[dict[PoolKind, Callable[[Listing, list[Any]], State]]] = {
    PoolKind.CPMM: _read_cpmm,
    PoolKind.AMM_V4: _read_amm_v4,
    PoolKind.CLMM: _read_clmm,
    PoolKind.DLMM: _read_dlmm,
    PoolKind.DAMM_V2: _read_damm_v2,
}

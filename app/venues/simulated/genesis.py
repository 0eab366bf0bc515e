"""Pools as their makers set them up at the start of an epoch: a pure function of (seed, pool, epoch)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Final, NamedTuple, TypeAlias

from app.venues.pools.amm_v4 import AmmV4Pool
from app.venues.pools.clmm import ClmmPool
from app.venues.pools.clmm_ticks import MAX_SQRT_PRICE, MIN_SQRT_PRICE, sqrt_price_at_tick, tick_at_sqrt_price
from app.venues.pools.cpmm import CpmmPool
from app.venues.pools.damm_v2 import CollectFee, DammV2Pool, DammV2Terms
from app.venues.pools.damm_v2_curve import reserves
from app.venues.pools.damm_v2_fees import BaseFee, FeeTerms, FeeVersion
from app.venues.pools.dlmm import DlmmPool
from app.venues.pools.dlmm_bins import Bin, bin_price
from app.venues.routing.plan import PoolKind
from app.venues.simulated.listings import Listing
from app.venues.simulated.market import MILLION, Market

EPOCH_SLOTS: Final = 1024  # 6.8 minutes
STRAY_MILLIONTHS: Final = 800  # how far from the fair price a pool may be, if its fee is no lower
DEPTH_MILLIONTHS: Final = 300_000  # how far from the listed depth

# As the programs' usual configurations have them.
PROTOCOL_FEE_RATE: Final = 120_000
FUND_FEE_RATE: Final = 40_000
AMM_V4_FEE_DENOMINATOR: Final = 10_000
DLMM_FILTER_PERIOD: Final = 30
DLMM_DECAY_PERIOD: Final = 600
DLMM_REDUCTION_FACTOR: Final = 5_000
DLMM_VARIABLE_FEE_CONTROL: Final = 20_000
DLMM_MAX_VOLATILITY: Final = 300_000
DLMM_PROTOCOL_SHARE: Final = 500

State: TypeAlias = CpmmPool | AmmV4Pool | ClmmPool | DlmmPool | DammV2Pool


class Vaults(NamedTuple):
    """A pool and the base units in its vaults, unclaimed fees included."""

    state: State
    balance_a: int
    balance_b: int


class Provision(NamedTuple):
    """What makers bring: base units of either token, around this square root of the price (Q64.64)."""

    amount_a: int
    amount_b: int
    sqrt_price: int


def epoch_of(slot: int) -> int:
    return slot // EPOCH_SLOTS


def stray_of(listing: Listing) -> int:
    """How far from the fair price the pool may be without anybody doing something about it, in millionths of the price."""
    return min(STRAY_MILLIONTHS, listing.fee)


def open_pool(market: Market, listing: Listing, epoch: int) -> Vaults:
    """The pool at the first slot of the epoch."""
    slot = epoch * EPOCH_SLOTS
    stray = stray_of(listing)
    offset = market.draws.below(2 * stray + 1, "offset", listing.address, epoch) - stray
    deeper = market.draws.below(2 * DEPTH_MILLIONTHS + 1, "depth", listing.address, epoch) - DEPTH_MILLIONTHS
    depth = listing.depth * (MILLION + deeper) // MILLION
    sqrt_price = market.sqrt_price(listing.token_a, listing.token_b, slot) * (2 * MILLION + offset)
    amount_a = market.units_for(depth, listing.token_a, slot)
    amount_b = market.units_for(depth, listing.token_b, slot)
    brought = Provision(amount_a, amount_b, sqrt_price // (2 * MILLION))
    return _OPENERS[listing.kind](listing, brought)


def _open_cpmm(listing: Listing, brought: Provision) -> Vaults:
    amount_b = _worth(brought)
    state = CpmmPool(brought.amount_a, amount_b, listing.fee, PROTOCOL_FEE_RATE, FUND_FEE_RATE)
    return Vaults(state, brought.amount_a, amount_b)


def _open_amm_v4(listing: Listing, brought: Provision) -> Vaults:
    amount_b = _worth(brought)
    state = AmmV4Pool(brought.amount_a, amount_b, listing.fee_bps, AMM_V4_FEE_DENOMINATOR)
    return Vaults(state, brought.amount_a, amount_b)


def _open_clmm(listing: Listing, brought: Provision) -> Vaults:
    """Half of the makers stand within the width, a third within four times of it, the rest at practically every price."""
    price = brought.sqrt_price
    tick = tick_at_sqrt_price(price)
    nets: dict[int, int] = {}
    total = balance_a = balance_b = 0
    for share, width in ((3, listing.width), (2, 4 * listing.width), (1, 20_000)):
        reach = width // listing.step * listing.step
        centre = tick // listing.step * listing.step
        low, high = sqrt_price_at_tick(centre - reach), sqrt_price_at_tick(centre + reach)
        liquidity = (brought.amount_b * share // 6 << 64) // (price - low)
        nets[centre - reach] = nets.get(centre - reach, 0) + liquidity
        nets[centre + reach] = nets.get(centre + reach, 0) - liquidity
        total += liquidity
        balance_a += -(-(liquidity * (high - price) << 64) // (price * high))
        balance_b += -(-liquidity * (price - low) >> 64)
    ticks = tuple(sorted(nets))
    state = ClmmPool(
        tick_spacing=listing.step,
        tick=tick,
        sqrt_price=price,
        liquidity=total,
        fee_on=0,
        trade_fee_rate=listing.fee,
        protocol_fee_rate=PROTOCOL_FEE_RATE,
        fund_fee_rate=FUND_FEE_RATE,
        ticks=ticks,
        liquidity_nets=tuple(nets[at] for at in ticks),
    )
    return Vaults(state, balance_a, balance_b)


def _open_dlmm(listing: Listing, brought: Provision) -> Vaults:
    """The makers stand thickest in the active bin, and linearly thinner away from it."""
    step, reach = listing.step, listing.width // listing.step
    active = _bin_below(brought.sqrt_price, step)
    weights = [reach + 1 - away for away in range(reach + 1)]
    total = sum(weights)
    on_a = [brought.amount_a * weight // total for weight in weights]
    on_b = [brought.amount_b * weight // total for weight in weights]
    amounts = [
        *((0, amount) for amount in reversed(on_b[1:])),
        (on_a[0], on_b[0]),
        *((amount, 0) for amount in on_a[1:]),
    ]
    state = dlmm_pool(listing, active, active - reach, amounts)
    return Vaults(state, sum(on_a), sum(on_b))


def dlmm_pool(
    listing: Listing,
    active: int,
    first: int,
    amounts: Sequence[tuple[int, int]],
    *,
    volatility: tuple[int, int, int, int] | None = None,
    unclaimed: tuple[int, int] = (0, 0),
) -> DlmmPool:
    """A liquidity book whose bins from `first` on hold these amounts of X and Y.

    `volatility`: accumulator, reference, index reference and time of the last change; a pool at rest has none.
    """
    step = listing.step
    accumulator, reference, index, updated_at = volatility or (0, 0, active, 0)
    return DlmmPool(
        active_id=active,
        bin_step=step,
        base_factor=listing.fee * 100 // step,
        base_fee_power_factor=0,
        filter_period=DLMM_FILTER_PERIOD,
        decay_period=DLMM_DECAY_PERIOD,
        reduction_factor=DLMM_REDUCTION_FACTOR,
        variable_fee_control=DLMM_VARIABLE_FEE_CONTROL,
        max_volatility=DLMM_MAX_VOLATILITY,
        protocol_share=DLMM_PROTOCOL_SHARE,
        collect_fee_mode=0,
        limit_orders=False,
        volatility=accumulator,
        volatility_reference=reference,
        index_reference=index,
        updated_at=updated_at,
        bin_ids=tuple(accumulate([1] * (len(amounts) - 1), initial=first)),
        bins=tuple(Bin(x, y, bin_price(at, step)) for at, (x, y) in enumerate(amounts, first)),
        unclaimed_x=unclaimed[0],
        unclaimed_y=unclaimed[1],
    )


def _open_damm_v2(listing: Listing, brought: Provision) -> Vaults:
    price, spread = brought.sqrt_price, listing.width
    if not spread:
        terms = damm_v2_terms(listing, MIN_SQRT_PRICE, MAX_SQRT_PRICE)
        amount_b = _worth(brought)
        return Vaults(DammV2Pool(terms, price, 0, brought.amount_a, amount_b), brought.amount_a, amount_b)
    low, high = price * (20_000 - spread) // 20_000, price * (20_000 + spread) // 20_000
    liquidity = (brought.amount_b << 128) // (price - low)
    amount_a, amount_b = reserves(price, low, high, liquidity)
    state = DammV2Pool(damm_v2_terms(listing, low, high), price, liquidity, amount_a, amount_b)
    return Vaults(state, amount_a, amount_b)


def damm_v2_terms(listing: Listing, low: int, high: int) -> DammV2Terms:
    """A pool without a range is one whose fees compound."""
    collect = CollectFee.TOKEN_B if listing.width else CollectFee.COMPOUNDING
    fees = FeeTerms() if listing.width else FeeTerms(compounding_bps=10_000)
    return DammV2Terms(collect, FeeVersion.V0, low, high, 0, BaseFee(listing.fee * 1_000), fees)


def _worth(brought: Provision) -> int:
    """The units of B that the units of A are worth, floored."""
    return brought.amount_a * brought.sqrt_price * brought.sqrt_price >> 128


def _bin_below(sqrt_price: int, step: int) -> int:
    """The greatest bin whose price is not above this one."""
    price = sqrt_price * sqrt_price >> 64
    at = math.floor(math.log(price / 2**64) / math.log1p(step / 10_000))
    while bin_price(at, step) > price:
        at -= 1
    while bin_price(at + 1, step) <= price:
        at += 1
    return at


_OPENERS: Final = {
    PoolKind.CPMM: _open_cpmm,
    PoolKind.AMM_V4: _open_amm_v4,
    PoolKind.CLMM: _open_clmm,
    PoolKind.DLMM: _open_dlmm,
    PoolKind.DAMM_V2: _open_damm_v2,
}

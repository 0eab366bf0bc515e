"""The curve of a pool in the state that it is in, for inputs up to an amount.

A constant product has one piece. A pool with ticks or bins is asked to swap the whole amount, and its own steps are
the pieces: the fee of each is then whatever the pool's rules make it.
"""

from __future__ import annotations

from app.venues.pools.amm_v4 import AmmV4Pool
from app.venues.pools.clmm import ClmmPool
from app.venues.pools.clmm_steps import RATE_SCALE, Step
from app.venues.pools.cpmm import RATE, CpmmPool
from app.venues.pools.damm_v2 import CollectFee, DammV2Pool
from app.venues.pools.damm_v2_fees import FEE_DENOMINATOR
from app.venues.pools.dlmm import DlmmPool
from app.venues.pools.dlmm_swap import FEE_SCALE, DlmmSwap
from app.venues.pools.integers import Q64
from app.venues.pools.quote import Pool
from app.venues.routing.curve import Curve, Piece


def profile(pool: Pool, a_to_b: bool, at: int, most: int) -> Curve:
    """Its curve for up to `most` base units of input. TypeError for a kind of pool that it does not know."""
    match pool:
        case CpmmPool():
            return Curve([_cpmm(pool, a_to_b, most)])
        case AmmV4Pool():
            return Curve([_amm_v4(pool, a_to_b, most)])
        case DammV2Pool():
            return Curve([_damm_v2(pool, a_to_b, at, most)])
        case ClmmPool():
            return Curve(_clmm(pool, a_to_b, at, most))
        case DlmmPool():
            return Curve(_dlmm(pool, a_to_b, at, most))
    raise TypeError(f"There is no curve for {type(pool).__name__}.")


def input_fee_rate(pool: Pool, a_to_b: bool, at: int) -> float:
    """The part of its input that it keeps as a fee that is rounded up; of pools with ticks or bins, where they stand."""
    match pool:
        case CpmmPool():
            return pool.trade_fee_rate / RATE
        case AmmV4Pool():
            return pool.fee_numerator / pool.fee_denominator
        case DammV2Pool():
            return pool.fee_numerator(at) / FEE_DENOMINATOR if pool.fee_is_on_input(a_to_b) else 0.0
        case ClmmPool():
            return pool.trade_fee_rate / RATE_SCALE
        case DlmmPool():
            return DlmmSwap(pool, 1, a_to_b, at).rate_at(pool.active_id) / FEE_SCALE
    return 0.0


def _product(reserve_in: float, reserve_out: float, kept_in: float, kept_out: float, length: float) -> Piece:
    """kept_out · reserve_out · x / (reserve_in + x), where x = kept_in · input."""
    return Piece((reserve_in / (reserve_out * kept_in * kept_out)) ** 0.5, kept_in / reserve_in, length)


def _cpmm(pool: CpmmPool, a_to_b: bool, most: int) -> Piece:
    reserve_in, reserve_out = (pool.reserve_a, pool.reserve_b) if a_to_b else (pool.reserve_b, pool.reserve_a)
    creator = pool.creator_fee_rate / RATE
    kept_in, kept_out = 1 - pool.trade_fee_rate / RATE, 1.0
    if pool.creator_fee_is_on_input(a_to_b):
        kept_in -= creator
    else:
        kept_out -= creator
    return _product(reserve_in, reserve_out, kept_in, kept_out, most)


def _amm_v4(pool: AmmV4Pool, a_to_b: bool, most: int) -> Piece:
    reserve_in, reserve_out = (pool.reserve_a, pool.reserve_b) if a_to_b else (pool.reserve_b, pool.reserve_a)
    return _product(reserve_in, reserve_out, 1 - pool.fee_numerator / pool.fee_denominator, 1.0, most)


def _damm_v2(pool: DammV2Pool, a_to_b: bool, at: int, most: int) -> Piece:
    terms = pool.terms
    kept = 1 - pool.fee_numerator(at) / FEE_DENOMINATOR
    kept_in, kept_out = (kept, 1.0) if pool.fee_is_on_input(a_to_b) else (1.0, kept)
    if terms.collect_fee is CollectFee.COMPOUNDING:
        token_a, token_b = pool.token_a_amount, pool.token_b_amount
        reserve_in, reserve_out = (token_a, token_b) if a_to_b else (token_b, token_a)
        return _product(reserve_in, reserve_out, kept_in, kept_out, most)
    price, low, high = pool.sqrt_price / Q64, terms.sqrt_min_price / Q64, terms.sqrt_max_price / Q64
    liquidity = pool.liquidity / Q64
    if a_to_b:
        room = liquidity * (1 / low - 1 / price)
        return _product(liquidity / price, liquidity * price, kept_in, kept_out, min(most, room / kept_in))
    room = liquidity * (high - price)
    return _product(liquidity * price, liquidity / price, kept_in, kept_out, min(most, room / kept_in))


def _clmm(pool: ClmmPool, a_to_b: bool, at: int, most: int) -> list[Piece]:
    swap = pool.begin(most, a_to_b, at, exact_in=True)
    step_onward, pieces = swap.stepper, []

    def step(  # noqa: PLR0917  # as the pool's own steps are called
        price: int, target: int, liquidity: int, remaining: int, rate: int, fee_on_input: bool
    ) -> Step:
        made = step_onward(price, target, liquidity, remaining, rate, fee_on_input)
        if liquidity:
            kept, root = 1 - rate / RATE_SCALE, price / Q64
            reserves = (
                (liquidity / root, liquidity * root) if a_to_b else (liquidity * root, liquidity / root)
            )
            kept_in, kept_out = (kept, 1.0) if fee_on_input else (1.0, kept)
            pieces.append(_product(*reserves, kept_in, kept_out, made[1]))
        return made

    swap.stepper = step
    swap.run()
    return pieces


def _dlmm(pool: DlmmPool, a_to_b: bool, at: int, most: int) -> list[Piece]:
    swap = DlmmSwap(pool, most, a_to_b, at)
    swap.exact_in()
    pieces = []
    for fill in swap.fills:
        price = pool.bins[fill.at].price / Q64
        kept = 1 - swap.rate_at(pool.bin_ids[fill.at]) / FEE_SCALE
        pieces.append(Piece(((price if not a_to_b else 1 / price) / kept) ** 0.5, 0.0, fill.paid))
    return pieces

"""How much has to be traded to take a pool's price somewhere: what arbitrageurs and searchers compute.

Prices are square roots of B per A in base units, as Q64.64. An answer is `(amount in, whether A goes in)`, fees
included; an amount of 0 where the pool is there already. Near enough for who trades, exact for nobody: what a trade
does is computed by the pool itself.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from math import isqrt
from typing import Any, Final, TypeAlias

from app.venues.pools.amm_v4 import AmmV4Pool
from app.venues.pools.clmm import ClmmPool
from app.venues.pools.cpmm import RATE, CpmmPool
from app.venues.pools.damm_v2 import CollectFee, DammV2Pool
from app.venues.pools.damm_v2_fees import FEE_DENOMINATOR
from app.venues.pools.dlmm import DlmmPool
from app.venues.pools.dlmm_bins import amount_in_for, bin_price
from app.venues.pools.dlmm_swap import FEE_SCALE, DlmmSwap
from app.venues.simulated.genesis import State

Trade: TypeAlias = tuple[int, bool]

_UNLIMITED: Final = 1 << 100
_ALL_BUT_EMPTY: Final = 100  # one part in so many of what the next bin holds


def price_of(state: State) -> int:
    """The square root of what the pool takes A to be worth in B."""
    if isinstance(state, ClmmPool | DammV2Pool):
        return state.sqrt_price
    if isinstance(state, DlmmPool):
        return isqrt(bin_price(state.active_id, state.bin_step) << 64)
    return isqrt((state.reserve_b << 128) // state.reserve_a)


def next_price(state: State, a_to_b: bool) -> int:
    """The same for the next unit that is sold or bought: a bin that is all but empty is passed over."""
    if isinstance(state, DlmmPool):
        at = bisect_left(state.bin_ids, state.active_id)
        onward = at - 1 if a_to_b else at + 1
        if 0 <= onward < len(state.bins):
            left, behind = (
                (held.amount_y if a_to_b else held.amount_x) for held in (state.bins[at], state.bins[onward])
            )
            if left * _ALL_BUT_EMPTY < behind:
                return isqrt(state.bins[onward].price << 64)
    return price_of(state)


def trade_to(state: State, target: int, at: int) -> Trade:
    """The trade that takes the pool's price there, or as far as its liquidity goes; `at` in Unix seconds.

    In a book of bins that is the first bin at the price or beyond.
    """
    if target == price_of(state):
        return 0, False
    return _TRADES[type(state)](state, target, at)


def _by_product(reserve_a: int, reserve_b: int, target: int) -> Trade:
    """√k / √P' and √k · √P' are what the reserves of A and B are at that price."""
    root = isqrt(reserve_a * reserve_b)
    after_a = (root << 64) // target
    if after_a > reserve_a:
        return after_a - reserve_a, True
    return max(0, (root * target >> 64) - reserve_b), False


def _cpmm(pool: CpmmPool, target: int, at: int) -> Trade:
    del at
    net, a_to_b = _by_product(pool.reserve_a, pool.reserve_b, target)
    return net * RATE // (RATE - pool.trade_fee_rate), a_to_b


def _amm_v4(pool: AmmV4Pool, target: int, at: int) -> Trade:
    del at
    net, a_to_b = _by_product(pool.reserve_a, pool.reserve_b, target)
    return net * pool.fee_denominator // (pool.fee_denominator - pool.fee_numerator), a_to_b


def _clmm(pool: ClmmPool, target: int, at: int) -> Trade:
    a_to_b = target < pool.sqrt_price
    swap = pool.begin(_UNLIMITED, a_to_b, at, exact_in=True)
    swap.limit = target
    swap.run()
    return _UNLIMITED - swap.remaining, a_to_b


def _damm_v2(pool: DammV2Pool, target: int, at: int) -> Trade:
    terms, price, liquidity = pool.terms, pool.sqrt_price, pool.liquidity
    if terms.collect_fee is CollectFee.COMPOUNDING:
        net, a_to_b = _by_product(pool.token_a_amount, pool.token_b_amount, target)
    elif (target := min(max(target, terms.sqrt_min_price), terms.sqrt_max_price)) < price:
        net, a_to_b = liquidity * (price - target) // (price * target), True
    else:
        net, a_to_b = liquidity * (target - price) >> 128, False
    return net if a_to_b else net * FEE_DENOMINATOR // (FEE_DENOMINATOR - pool.fee_numerator(at)), a_to_b


def _dlmm(pool: DlmmPool, target: int, at: int) -> Trade:
    """Empties every bin on this side of the target, and buys one unit of the next one."""
    ids, squared = pool.bin_ids, target * target >> 64
    a_to_b = squared < bin_price(pool.active_id, pool.bin_step)
    begin = bisect_left(ids, pool.active_id)
    swap = DlmmSwap(pool, _UNLIMITED, a_to_b, at)
    amount = 0
    for place in range(begin, -1, -1) if a_to_b else range(begin, len(ids)):
        held = pool.bins[place]
        is_there = place != begin and (held.price <= squared if a_to_b else held.price >= squared)
        net = amount_in_for(1 if is_there else held.amount_y if a_to_b else held.amount_x, held.price, a_to_b)
        amount += -(-net * FEE_SCALE // (FEE_SCALE - swap.rate_at(ids[place])))
        if is_there:
            break
    return amount, a_to_b


_TRADES: Final[dict[type, Callable[[Any, int, int], Trade]]] = {
    CpmmPool: _cpmm,
    AmmV4Pool: _amm_v4,
    ClmmPool: _clmm,
    DlmmPool: _dlmm,
    DammV2Pool: _damm_v2,
}

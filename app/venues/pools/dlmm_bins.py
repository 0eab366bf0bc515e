"""A bin of a liquidity book: a price, what it holds of X and Y, and limit orders at that price.

Formulas: `helpers/bin.ts` and `helpers/weight.ts`, `helpers/math.ts` of Meteora's @meteora-ag/dlmm (ISC).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec

from app.venues.pools.integers import Q64, U128_MAX, pow_q64

BASIS_POINTS: Final = 10_000


class Bin(msgspec.Struct, frozen=True, gc=False):
    """Amounts in base units; `price` is Y per X in Q64.64 and stored, as on the chain, see `bin_price`.

    Limit orders wait on one side at a time: asks sell X, bids sell Y. Those that a swap has begun to fill are
    `processed` before those that are still `open`.
    """

    amount_x: int
    amount_y: int
    price: int
    open_order: int = 0
    processed_order: int = 0
    is_ask: bool = False


@lru_cache(maxsize=1 << 17)
def bin_price(bin_id: int, bin_step: int) -> int:
    """(1 + bin_step/10,000)^bin_id in Q64: `getQPriceFromId` in `helpers/math.ts`."""
    base = Q64 + (bin_step << 64) // BASIS_POINTS
    return pow_q64(base, bin_id) if bin_id >= 0 else pow_q64(U128_MAX // base, -bin_id)


def amount_in_for(amount_out: int, price: int, swap_for_y: bool) -> int:
    """The least input that buys this output, fees aside: `getAmountIn`, rounded up."""
    if swap_for_y:
        return -(-(amount_out << 64) // price)
    return (amount_out * price + Q64 - 1) >> 64


def amount_out_for(amount_in: int, price: int, swap_for_y: bool) -> int:
    """What this input buys, fees aside: `getAmountOut`, rounded down."""
    return amount_in * price >> 64 if swap_for_y else (amount_in << 64) // price

"""Ticks of a concentrated-liquidity pool: tick i is the price 1.0001^i, and pools hold its square root in Q64.64."""

from __future__ import annotations

from functools import lru_cache
from math import floor, log
from typing import Final

from app.venues.pools.integers import Q64, U128_MAX

MIN_TICK: Final = -443_636
MAX_TICK: Final = 443_636
MIN_SQRT_PRICE: Final = 4_295_048_016
MAX_SQRT_PRICE: Final = 79_226_673_521_066_979_257_578_248_091
_LOG_SQRT_BASE: Final = log(1.0001) / 2
_LOG_Q64: Final = log(Q64)

# 2^64 / 1.0001^(2^(i-1)), each as coarse as the program holds it; the coarseness shows in the last digits of prices.
_FACTORS: Final = (
    0xFFFCB933BD6FB800,
    0xFFF97272373D4000,
    0xFFF2E50F5F657000,
    0xFFE5CACA7E10F000,
    0xFFCB9843D60F7000,
    0xFF973B41FA98E800,
    0xFF2EA16466C9B000,
    0xFE5DEE046A9A3800,
    0xFCBE86C7900BB000,
    0xF987A7253AC65800,
    0xF3392B0822BB6000,
    0xE7159475A2CAF000,
    0xD097F3BDFD2F2000,
    0xA9F746462D9F8000,
    0x70D869A156F31C00,
    0x31BE135F97ED3200,
    0x09AA508B5B85A500,
    0x005D6AF8DEDC582C,
    0x00002216E584F5FA,
)


@lru_cache(maxsize=1 << 17)
def sqrt_price_at_tick(tick: int) -> int:
    """√1.0001^tick in Q64.64: `get_sqrt_price_at_tick` of raydium-clmm's `tick_math` (Apache-2.0)."""
    left = abs(tick)
    price = Q64
    for factor in _FACTORS:
        if left & 1:
            price = price * factor >> 64
        left >>= 1
    return U128_MAX // price if tick > 0 else price


def tick_at_sqrt_price(sqrt_price: int) -> int:
    """The greatest tick whose price is not above this one: what `get_tick_at_sqrt_price` of raydium-clmm promises."""
    tick = floor((log(sqrt_price) - _LOG_Q64) / _LOG_SQRT_BASE)
    while sqrt_price_at_tick(tick) > sqrt_price:
        tick -= 1
    while sqrt_price_at_tick(tick + 1) <= sqrt_price:
        tick += 1
    return tick

"""The simulated market: fair prices as a pure function of (seed, slot), so every process sees the same ones."""

from __future__ import annotations

import functools
import math
from typing import Final

import msgspec

from app.orders.tokens import BONK, JUP, RAY, SOL, USDC, USDT, Token
from app.venues.simulated.draws import Draws
from app.venues.simulated.walk import walk

SLOT_MS: Final = 400  # what prices and heights count; how often transactions land is a setting
MILLION: Final = 1_000_000
PICO: Final = 10**12  # prices are whole 10⁻¹² USD: seven digits even of a BONK

_CACHED: Final = 2048


class Asset(msgspec.Struct, frozen=True):
    """A token's place in the market.

    `base_price` in 10⁻¹² USD; `volatility` is the standard deviation of the log price over one slot
    (10⁻⁴ is 89 % a year).
    """

    token: Token
    base_price: int
    volatility: float


ASSETS: Final = (
    Asset(SOL, 165 * PICO, 0.8e-4),
    Asset(USDC, 1 * PICO, 1e-6),
    Asset(USDT, 9_995 * PICO // 10_000, 1e-6),
    Asset(BONK, 20 * PICO // MILLION, 1.5e-4),
    Asset(JUP, 45 * PICO // 100, 1.2e-4),
    Asset(RAY, 24 * PICO // 10, 1.2e-4),
)

_ASSETS: Final = {asset.token: asset for asset in ASSETS}


class Market:
    """The market of one seed. What was computed for recent slots is kept."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.draws = Draws(seed)
        # A cache of the instance: one on the method would keep every market alive for ever.
        self.mid = functools.lru_cache(_CACHED)(self._mid)

    def _mid(self, token: Token, slot: int) -> int:
        """The fair price of a whole token in 10⁻¹² USD: base · exp(volatility · W(slot))."""
        asset = _ASSETS[token]
        return round(
            asset.base_price * math.exp(asset.volatility * walk(self.draws, f"walk:{token.symbol}", slot))
        )

    def units_for(self, dollars: int, token: Token, slot: int) -> int:
        """The base units of the token that are worth so many USD, floored."""
        scale: int = 10**token.decimals
        return dollars * PICO * scale // self.mid(token, slot)

    def sqrt_price(self, token_a: Token, token_b: Token, slot: int) -> int:
        """The square root of the fair price of A in B, in base units, as Q64.64; floored."""
        worth_a = self.mid(token_a, slot) * 10**token_b.decimals
        worth_b = self.mid(token_b, slot) * 10**token_a.decimals
        return math.isqrt((worth_a << 128) // worth_b)

"""The part of a Meteora DAMM v2 fee that rises when the price moves and falls when it rests."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec

BPS: Final = 10_000
_SCALE: Final = 100_000_000_000


class Volatility(msgspec.Struct, frozen=True, gc=False):
    """How the price has moved lately: steps of `bin_step` of √price, times 10⁴, since a reference that is moved up."""

    accumulator: int = 0
    reference: int = 0
    sqrt_price_reference: int = 0
    last_update: int = 0


class DynamicFee(msgspec.Struct, frozen=True, gc=False):
    """What a movement of the price adds to the fee, and for how long; the bin step is in basis points, time in seconds.

    The settings default to those that Meteora's own pool configurations have.
    """

    bin_step: int
    variable_fee_control: int
    max_volatility_accumulator: int = 14_460_000
    filter_period: int = 10
    decay_period: int = 120
    reduction_factor: int = 5_000  # basis points that a decay leaves

    def numerator(self, volatility: Volatility) -> int:
        """ceil(control · (accumulator · bin step)² / 10¹¹), in billionths of the amount.

        Source: @meteora-ag/cp-amm-sdk (MIT), math/poolFees/dynamicFee.ts.
        """
        moved = volatility.accumulator * self.bin_step
        return -(-self.variable_fee_control * moved * moved // _SCALE)

    def moved(self, was: Volatility, before: int, after: int, at: int) -> Volatility:
        """The volatility after a swap that took √price from `before` to `after`.

        Once the filter period is over, movement counts from the price before the swap, and of the old volatility the
        reduction factor is left, or nothing once the decay period is over too.
        Source: docs.meteora.ag, core-products/damm-v2/fees/dynamic-fees; the SDK has no code for it.
        """
        last_update = was.last_update
        elapsed = at - last_update
        step = _step(self.bin_step)
        steps = _steps(before, after, step)
        if steps:
            last_update = at
        price = was.sqrt_price_reference
        if elapsed < self.filter_period and price:
            reference = was.reference
            if price != before:
                steps = _steps(price, after, step)
        else:
            price = before
            reference = was.accumulator * self.reduction_factor // BPS if elapsed < self.decay_period else 0
        accumulator = reference + steps * BPS
        most = self.max_volatility_accumulator
        return Volatility(accumulator if accumulator < most else most, reference, price, last_update)  # noqa: FURB136


@lru_cache(maxsize=64)
def _step(bin_step: int) -> int:
    return (bin_step << 64) // BPS


def _steps(one: int, other: int, step: int) -> int:
    """Steps of the price, which are two of its square root."""
    return ((other - one << 64) // one if one < other else (one - other << 64) // other) // step * 2

"""Integer arithmetic that Python has no operator for."""

from __future__ import annotations

from typing import Final

Q64: Final = 1 << 64  # one, as a fixed-point number with 64 fractional bits
U128_MAX: Final = (1 << 128) - 1
_MAX_EXPONENT: Final = 0x80000


def ceil_div(numerator: int, denominator: int) -> int:
    """The quotient, rounded up."""
    return -(-numerator // denominator)


def pow_q64(base: int, exponent: int) -> int:
    """The power in Q64, each product truncated; a base of one or more goes by its reciprocal.

    0 where the exponent exceeds 2¹⁹ or nothing is left. Source: @meteora-ag/cp-amm-sdk (MIT), math/utilsMath.ts, pow.
    """
    if not exponent:
        return Q64
    if exponent > _MAX_EXPONENT:
        return 0
    invert = base >= Q64
    square = U128_MAX // base if invert else base
    power = Q64
    while exponent:
        if exponent & 1:
            power = power * square >> 64
        square = square * square >> 64
        exponent >>= 1
    return U128_MAX // power if invert and power else power

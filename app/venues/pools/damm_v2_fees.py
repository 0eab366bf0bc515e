"""The fee of a Meteora DAMM v2 pool: its cap, its parts, and the base fee that falls with time.

Source of the formulas: @meteora-ag/cp-amm-sdk (MIT), math/feeMath.ts and math/poolFees.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import Final

import msgspec

from app.venues.pools.integers import Q64, pow_q64
from app.venues.pools.quote import Fees

FEE_DENOMINATOR: Final = 1_000_000_000
MAX_FEE_V0: Final = 500_000_000
MAX_FEE_V1: Final = 990_000_000
BPS: Final = 10_000


class FeeSchedule(Enum):
    """How the base fee falls from its cliff, period by period; the numbers are the program's."""

    LINEAR = 0  # by reduction_factor, in billionths
    EXPONENTIAL = 1  # by reduction_factor, in basis points of what it was


_LINEAR: Final = FeeSchedule.LINEAR


class FeeVersion(Enum):
    """What caps the whole fee; the numbers are the program's."""

    V0 = 0  # MAX_FEE_V0
    V1 = 1  # MAX_FEE_V1


class BaseFee(msgspec.Struct, frozen=True, gc=False):
    """A fee in billionths that begins at the cliff and falls once per period; without periods it stays there."""

    cliff_numerator: int
    schedule: FeeSchedule = FeeSchedule.LINEAR
    periods: int = 0
    period_length: int = 0
    reduction_factor: int = 0

    def numerator(self, elapsed: int) -> int:
        """The fee so long after activation; before it, as low as it will get.

        Source: math/poolFees/baseFee/feeTimeScheduler.ts and feeScheduler.ts.
        """
        if not self.period_length:
            return self.cliff_numerator
        passed = elapsed // self.period_length
        if passed > self.periods or elapsed < 0:
            passed = self.periods
        if self.schedule is _LINEAR:
            return self.cliff_numerator - passed * self.reduction_factor
        if not passed:
            return self.cliff_numerator
        return self.cliff_numerator * _left_after(passed, self.reduction_factor) >> 64


class FeeTerms(msgspec.Struct, frozen=True, gc=False):
    """Who earns which part: percent of the fee, percent of that part, basis points of the liquidity providers' rest."""

    protocol_percent: int = 20
    referral_percent: int = 20
    compounding_bps: int = 0

    def split(self, fee: int, referral: bool) -> Fees:
        """The parts, each floored; the liquidity providers get what is left. Source: math/feeMath.ts, splitFees."""
        protocol = fee * self.protocol_percent // 100
        rest = fee - protocol
        if not (referral or self.compounding_bps):
            return Fees(rest, protocol)
        referral_fee = protocol * self.referral_percent // 100 if referral else 0
        compounding = rest * self.compounding_bps // BPS if self.compounding_bps else 0
        return Fees(rest - compounding, protocol - referral_fee, 0, 0, referral_fee, compounding)


@lru_cache(maxsize=4096)  # every quote of a period asks for the same
def _left_after(periods: int, reduction_bps: int) -> int:
    return pow_q64(Q64 - (reduction_bps << 64) // BPS, periods)

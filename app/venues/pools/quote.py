"""What a pool answers, whatever its kind, and how a router asks it.

VenueError
└── PoolError
    ├── InsufficientLiquidity   the pool does not hold what the swap needs
    ├── PriceRangeViolation     the swap would move the price out of the pool's range
    └── AmountTooSmall          nothing is left of the amount after fees
"""

from __future__ import annotations

from fractions import Fraction
from typing import Generic, Protocol, Self, TypeVar

import msgspec

from app.errors import VenueError


class PoolError(VenueError):
    """A pool cannot make this swap in the state that it is in."""


class InsufficientLiquidity(PoolError):  # noqa: N818
    """The pool does not hold what the swap needs."""


class PriceRangeViolation(PoolError):  # noqa: N818
    """The swap would move the price out of the pool's range."""


class AmountTooSmall(PoolError):  # noqa: N818
    """Nothing is left of the amount after fees."""


class Fees(msgspec.Struct, frozen=True, gc=False):
    """Fees in base units of one token, by who gets them; no unit is counted twice, so that they add up."""

    lp: int = 0
    protocol: int = 0
    fund: int = 0
    creator: int = 0
    referral: int = 0
    compounding: int = 0  # to the liquidity providers too, but it stays in the reserves and deepens the pool

    @property
    def total(self) -> int:
        return self.lp + self.protocol + self.fund + self.creator + self.referral + self.compounding


NO_FEES = Fees()


class Price(msgspec.Struct, frozen=True, gc=False):
    """Base units of the output per base unit of the input, as a fraction that need not be in lowest terms."""

    numerator: int
    denominator: int


PoolState = TypeVar("PoolState", covariant=True)  # noqa: PLC0105


class PoolQuote(msgspec.Struct, Generic[PoolState], frozen=True, gc=False):
    """A swap that a pool would make: what goes in, what comes out, who earns, and the pool after it.

    `amount_in` is what the trader pays, fees included, and `amount_out` what the trader gets, fees deducted;
    `fees_in` are units of the input token and part of `amount_in`, `fees_out` are units of the output token.
    """

    amount_in: int
    amount_out: int
    fees_in: Fees
    fees_out: Fees
    spot: Price  # before the swap
    after: PoolState

    @property
    def price_impact(self) -> Fraction:
        """How far the price got is below the spot price, fees included, as a fraction of the spot price; exact.

        1 where nothing comes out. This is what Raydium states for CPMM, and Meteora for a sale of token A.
        """
        return 1 - self._share_of_spot(self.amount_in, self.amount_out)

    @property
    def price_impact_before_fees(self) -> Fraction:
        """The same for what the curve itself exchanges, without any fee; what Raydium states for AMM v4.

        ZeroDivisionError where the fees take the whole input.
        """
        return 1 - self._share_of_spot(
            self.amount_in - self.fees_in.total, self.amount_out + self.fees_out.total
        )

    @property
    def markup(self) -> Fraction:
        """How far the price paid for the output is above its spot price, fees included, as a fraction; exact.

        What Meteora states for a purchase of token A. ZeroDivisionError where nothing comes out.
        """
        return 1 / self._share_of_spot(self.amount_in, self.amount_out) - 1

    def _share_of_spot(self, amount_in: int, amount_out: int) -> Fraction:
        return Fraction(amount_out * self.spot.denominator, amount_in * self.spot.numerator)


class Pool(Protocol):
    """A pool's state. It is frozen: a swap makes another one, `PoolQuote.after`.

    `a_to_b` says that token A (token 0, X or base) goes in; `at` is the time that the pool's fees are computed for
    (Unix seconds, or a slot where the pool counts in slots). Raises PoolError where the swap cannot be made.
    """

    def amount_out(self, amount_in: int, a_to_b: bool, at: int = 0) -> int:
        """The `amount_out` of `quote_exact_in`, and nothing else: what a router asks thousands of times."""

    def quote_exact_in(self, amount_in: int, a_to_b: bool, at: int = 0) -> PoolQuote[Self]:
        """The swap that takes this amount, fees included."""

    def quote_exact_out(self, amount_out: int, a_to_b: bool, at: int = 0) -> PoolQuote[Self]:
        """The swap that gives this amount, fees deducted, for the least input."""

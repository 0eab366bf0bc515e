"""Meteora DAMM v2: one liquidity over a price range, or, in a pool whose fees compound, a constant product.

Source of the formulas: @meteora-ag/cp-amm-sdk (MIT), math/swapQuote.ts, math/feeMath.ts and math/liquidity.
"""

from __future__ import annotations

from enum import Enum
from math import isqrt
from typing import Final

import msgspec

from app.venues.pools import constant_product
from app.venues.pools.damm_v2_curve import exchange_input, exchange_output
from app.venues.pools.damm_v2_fees import (
    FEE_DENOMINATOR,
    MAX_FEE_V0,
    MAX_FEE_V1,
    BaseFee,
    FeeTerms,
    FeeVersion,
)
from app.venues.pools.damm_v2_volatility import DynamicFee, Volatility
from app.venues.pools.quote import NO_FEES, AmountTooSmall, PoolQuote, Price, PriceRangeViolation


class CollectFee(Enum):
    """The token in which the fee is taken; the numbers are the program's."""

    OUTPUT = 0  # whichever token comes out
    TOKEN_B = 1
    COMPOUNDING = 2  # token B too; a part of it stays in the reserves


CALM: Final = Volatility()

_Q128: Final = 1 << 128
_OUTPUT: Final = CollectFee.OUTPUT
_V0: Final = FeeVersion.V0
_COMPOUNDING: Final = CollectFee.COMPOUNDING


class DammV2Terms(msgspec.Struct, frozen=True, gc=False):
    """What no swap changes. `activation_point` is in the unit of `at`: Unix seconds, or slots."""

    collect_fee: CollectFee
    fee_version: FeeVersion
    sqrt_min_price: int
    sqrt_max_price: int
    activation_point: int
    base_fee: BaseFee
    fee_terms: FeeTerms
    dynamic_fee: DynamicFee | None = None


class DammV2Pool(msgspec.Struct, frozen=True, gc=False):
    """Amounts are the reserves without fees that somebody may claim; √price is Q64, liquidity Q128.

    The fee of a swap is that of the volatility before it; a pool with a dynamic fee needs `at` in Unix seconds.
    """

    terms: DammV2Terms
    sqrt_price: int
    liquidity: int
    token_a_amount: int
    token_b_amount: int
    volatility: Volatility = CALM

    def fee_numerator(self, at: int) -> int:
        """The whole fee at that time in billionths, capped. Source: math/feeMath.ts, getTotalFeeNumerator."""
        terms = self.terms
        numerator = terms.base_fee.numerator(at - terms.activation_point)
        if terms.dynamic_fee is not None:
            numerator += terms.dynamic_fee.numerator(self.volatility)
        most = MAX_FEE_V0 if terms.fee_version is _V0 else MAX_FEE_V1
        return numerator if numerator < most else most  # noqa: FURB136  # a third of the time that min() takes

    def fee_is_on_input(self, a_to_b: bool) -> bool:
        """Whether what goes in this way is what the fee is taken of."""
        return not a_to_b and self.terms.collect_fee is not _OUTPUT

    def amount_out(self, amount_in: int, a_to_b: bool, at: int = 0) -> int:
        """What comes out after the fee. Raises PriceRangeViolation or AmountTooSmall."""
        if amount_in <= 0:
            raise AmountTooSmall("The amount must be above zero.")
        fee = self.fee_numerator(at)
        if not a_to_b and self.terms.collect_fee is not _OUTPUT:
            return self._curve_output(amount_in - -(-amount_in * fee // FEE_DENOMINATOR), a_to_b)[0]
        gross_out = self._curve_output(amount_in, a_to_b)[0]
        return gross_out - -(-gross_out * fee // FEE_DENOMINATOR)

    def quote_exact_in(
        self, amount_in: int, a_to_b: bool, at: int = 0, *, referral: bool = False
    ) -> PoolQuote[DammV2Pool]:
        """The fee is ceil(amount · rate). Raises PriceRangeViolation or AmountTooSmall.

        Source: math/swapQuote.ts, getSwapResultFromExactInput; math/feeMath.ts, getExcludedFeeAmount.
        """
        if amount_in <= 0:
            raise AmountTooSmall("The amount must be above zero.")
        rate = self.fee_numerator(at)
        on_input = not a_to_b and self.terms.collect_fee is not _OUTPUT
        if on_input:
            fee = -(-amount_in * rate // FEE_DENOMINATOR)
            amount_out, price = self._curve_output(amount_in - fee, a_to_b)
        else:
            gross_out, price = self._curve_output(amount_in, a_to_b)
            fee = -(-gross_out * rate // FEE_DENOMINATOR)
            amount_out = gross_out - fee
        return self._quote(amount_in, amount_out, fee, a_to_b, price, on_input, at, referral)

    def quote_exact_out(
        self, amount_out: int, a_to_b: bool, at: int = 0, *, referral: bool = False
    ) -> PoolQuote[DammV2Pool]:
        """The amount before the fee is ceil(amount / (1 − rate)).

        Source: math/swapQuote.ts, getSwapResultFromExactOutput; math/feeMath.ts, getIncludedFeeAmount.
        Raises PriceRangeViolation, InsufficientLiquidity or AmountTooSmall.
        """
        if amount_out <= 0:
            raise AmountTooSmall("The amount must be above zero.")
        rate = self.fee_numerator(at)
        on_input = not a_to_b and self.terms.collect_fee is not _OUTPUT
        if on_input:
            net_in, price = self._curve_input(amount_out, a_to_b)
            amount_in = -(-net_in * FEE_DENOMINATOR // (FEE_DENOMINATOR - rate))
            fee = amount_in - net_in
        else:
            gross_out = -(-amount_out * FEE_DENOMINATOR // (FEE_DENOMINATOR - rate))
            amount_in, price = self._curve_input(gross_out, a_to_b)
            fee = gross_out - amount_out
        return self._quote(amount_in, amount_out, fee, a_to_b, price, on_input, at, referral)

    def _curve_output(self, net_in: int, a_to_b: bool) -> tuple[int, int]:
        """The output, and √price after the swap; in a compounding pool the latter follows from the reserves."""
        terms = self.terms
        if terms.collect_fee is _COMPOUNDING:
            return constant_product.output_for(net_in, *self._reserves(a_to_b)), 0
        exchanged = exchange_input(self.sqrt_price, self.liquidity, net_in, a_to_b)
        if not terms.sqrt_min_price <= exchanged[1] <= terms.sqrt_max_price:
            raise PriceRangeViolation("The swap would move the price out of the pool's range.")
        return exchanged

    def _curve_input(self, gross_out: int, a_to_b: bool) -> tuple[int, int]:
        terms = self.terms
        if terms.collect_fee is _COMPOUNDING:
            return constant_product.input_for(gross_out, *self._reserves(a_to_b)), 0
        exchanged = exchange_output(self.sqrt_price, self.liquidity, gross_out, a_to_b)
        if not terms.sqrt_min_price <= exchanged[1] <= terms.sqrt_max_price:
            raise PriceRangeViolation("The swap would move the price out of the pool's range.")
        return exchanged

    def _reserves(self, a_to_b: bool) -> tuple[int, int]:
        return (
            (self.token_a_amount, self.token_b_amount)
            if a_to_b
            else (self.token_b_amount, self.token_a_amount)
        )

    def _quote(  # noqa: PLR0917  # names would take a twentieth of the time
        self,
        amount_in: int,
        amount_out: int,
        fee: int,
        a_to_b: bool,
        sqrt_price: int,
        on_input: bool,
        at: int,
        referral: bool,
    ) -> PoolQuote[DammV2Pool]:
        terms = self.terms
        fees = terms.fee_terms.split(fee, referral)
        received, given = amount_in, amount_out
        if on_input:
            fees_in, fees_out = fees, NO_FEES
            received -= fee - fees.compounding
        else:
            fees_in, fees_out = NO_FEES, fees
            given += fee - fees.compounding
        was = self.sqrt_price
        squared = was * was
        if a_to_b:
            spot = Price(squared, _Q128)
            token_a, token_b = self.token_a_amount + received, self.token_b_amount - given
        else:
            spot = Price(_Q128, squared)
            token_a, token_b = self.token_a_amount - given, self.token_b_amount + received
        if terms.collect_fee is _COMPOUNDING:
            sqrt_price = isqrt((token_b << 128) // token_a)
        volatility, dynamic_fee = self.volatility, terms.dynamic_fee
        if dynamic_fee is not None:
            volatility = dynamic_fee.moved(volatility, was, sqrt_price, at)
        after = DammV2Pool(terms, sqrt_price, self.liquidity, token_a, token_b, volatility)
        return PoolQuote(amount_in, amount_out, fees_in, fees_out, spot, after)

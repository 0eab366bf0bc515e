"""Raydium AMM v4: a constant product whose whole fee is taken from the input and stays in the pool.

Source of the formulas: raydium-amm (Apache-2.0), program/src/math.rs and process_swap_base_in/_out of processor.rs.
"""

from __future__ import annotations

import msgspec

from app.venues.pools.constant_product import input_for, output_for
from app.venues.pools.integers import ceil_div
from app.venues.pools.quote import NO_FEES, AmountTooSmall, Fees, PoolQuote, Price


class AmmV4Pool(msgspec.Struct, frozen=True, gc=False):
    """Token A is the program's base (coin), token B its quote (pc); the reserves are without profit not yet taken."""

    reserve_a: int
    reserve_b: int
    fee_numerator: int = 25
    fee_denominator: int = 10_000

    def amount_out(self, amount_in: int, a_to_b: bool, at: int = 0) -> int:  # noqa: ARG002  # its fee knows no time
        """Floored product after the fee. Raises AmountTooSmall."""
        if amount_in <= 0:
            raise AmountTooSmall("The amount must be above zero.")
        net_in = amount_in - -(-amount_in * self.fee_numerator // self.fee_denominator)
        if a_to_b:
            return self.reserve_b * net_in // (self.reserve_a + net_in)
        return self.reserve_a * net_in // (self.reserve_b + net_in)

    def quote_exact_in(self, amount_in: int, a_to_b: bool, at: int = 0) -> PoolQuote[AmmV4Pool]:  # noqa: ARG002
        """The fee is ceil(amount · rate). Raises AmountTooSmall.

        Source: processor.rs, process_swap_base_in; math.rs, swap_token_amount_base_in.
        """
        if amount_in <= 0:
            raise AmountTooSmall("The amount must be above zero.")
        fee = ceil_div(amount_in * self.fee_numerator, self.fee_denominator)
        amount_out = output_for(amount_in - fee, *self._reserves(a_to_b))
        return self._quote(a_to_b, amount_in, fee, amount_out)

    def quote_exact_out(self, amount_out: int, a_to_b: bool, at: int = 0) -> PoolQuote[AmmV4Pool]:  # noqa: ARG002
        """The input before the fee is ceil(input / (1 − rate)). Raises InsufficientLiquidity or AmountTooSmall.

        Source: processor.rs, process_swap_base_out; math.rs, swap_token_amount_base_out.
        """
        if amount_out <= 0:
            raise AmountTooSmall("The amount must be above zero.")
        net_in = input_for(amount_out, *self._reserves(a_to_b))
        amount_in = ceil_div(net_in * self.fee_denominator, self.fee_denominator - self.fee_numerator)
        return self._quote(a_to_b, amount_in, amount_in - net_in, amount_out)

    def _reserves(self, a_to_b: bool) -> tuple[int, int]:
        return (self.reserve_a, self.reserve_b) if a_to_b else (self.reserve_b, self.reserve_a)

    def _quote(self, a_to_b: bool, amount_in: int, fee: int, amount_out: int) -> PoolQuote[AmmV4Pool]:
        reserve_in, reserve_out = self._reserves(a_to_b)
        in_after, out_after = reserve_in + amount_in, reserve_out - amount_out
        reserve_a, reserve_b = (in_after, out_after) if a_to_b else (out_after, in_after)
        after = AmmV4Pool(reserve_a, reserve_b, self.fee_numerator, self.fee_denominator)
        return PoolQuote(amount_in, amount_out, Fees(fee), NO_FEES, Price(reserve_out, reserve_in), after)

"""Raydium CPMM: a constant product with a trade fee on the input and, where the creator wants one, a creator fee.

Source of the formulas: raydium-cp-swap (Apache-2.0), curve/calculator.rs, curve/fees.rs and states/pool.rs.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import msgspec

from app.venues.pools.constant_product import input_for, output_for
from app.venues.pools.integers import ceil_div
from app.venues.pools.quote import NO_FEES, AmountTooSmall, Fees, PoolQuote, Price

RATE: Final = 1_000_000  # fee rates are in millionths


class CreatorFeeOn(Enum):
    """The token in which the pool's creator is paid; the numbers are the program's."""

    INPUT = 0  # whichever token goes in
    TOKEN_A = 1
    TOKEN_B = 2


_INPUT: Final = CreatorFeeOn.INPUT
_TOKEN_A: Final = CreatorFeeOn.TOKEN_A


class CpmmPool(msgspec.Struct, frozen=True, gc=False):
    """The reserves are the vaults without the protocol's, the fund's and the creator's uncollected fees.

    Trade and creator rate are in millionths of an amount, protocol and fund rate in millionths of the trade fee.
    """

    reserve_a: int
    reserve_b: int
    trade_fee_rate: int
    protocol_fee_rate: int
    fund_fee_rate: int
    creator_fee_rate: int = 0
    creator_fee_on: CreatorFeeOn = CreatorFeeOn.INPUT

    def amount_out(self, amount_in: int, a_to_b: bool, at: int = 0) -> int:  # noqa: ARG002  # its fees know no time
        """Floored product, after fees that are each rounded up. Raises AmountTooSmall."""
        rate = self.creator_fee_rate
        net_in = amount_in - (amount_in * self.trade_fee_rate + 999_999) // RATE
        on_input = rate and self.creator_fee_is_on_input(a_to_b)
        if on_input:
            net_in -= (amount_in * rate + 999_999) // RATE
        if net_in < 0 or amount_in <= 0:
            raise AmountTooSmall("The fees exceed the amount.")
        if a_to_b:
            gross_out = self.reserve_b * net_in // (self.reserve_a + net_in)
        else:
            gross_out = self.reserve_a * net_in // (self.reserve_b + net_in)
        return gross_out if on_input else gross_out - (gross_out * rate + 999_999) // RATE

    def quote_exact_in(self, amount_in: int, a_to_b: bool, at: int = 0) -> PoolQuote[CpmmPool]:  # noqa: ARG002
        """Trade and creator fee are each ceil(amount · rate). Raises AmountTooSmall.

        Source: curve/calculator.rs, swap_base_input; curve/fees.rs, trading_fee and creator_fee.
        """
        on_input = self.creator_fee_is_on_input(a_to_b)
        trade_fee = ceil_div(amount_in * self.trade_fee_rate, RATE)
        creator_fee = ceil_div(amount_in * self.creator_fee_rate, RATE) if on_input else 0
        net_in = amount_in - trade_fee - creator_fee
        if net_in < 0 or amount_in <= 0:
            raise AmountTooSmall("The fees exceed the amount.")
        gross_out = output_for(net_in, *self._reserves(a_to_b))
        if on_input:
            return self._quote(a_to_b, amount_in, gross_out, self._fees(trade_fee, creator_fee), NO_FEES)
        creator_fee = ceil_div(gross_out * self.creator_fee_rate, RATE)
        return self._quote(
            a_to_b, amount_in, gross_out - creator_fee, self._fees(trade_fee), Fees(creator=creator_fee)
        )

    def quote_exact_out(self, amount_out: int, a_to_b: bool, at: int = 0) -> PoolQuote[CpmmPool]:  # noqa: ARG002
        """An amount before its fee is ceil(amount / (1 − rate)); of a fee for both, the creator's part is floored.

        Raises InsufficientLiquidity or AmountTooSmall.

        Source: curve/calculator.rs, swap_base_output; curve/fees.rs, calculate_pre_fee_amount and split_creator_fee.
        """
        if amount_out <= 0:
            raise AmountTooSmall("The amount must be above zero.")
        on_input = self.creator_fee_is_on_input(a_to_b)
        creator_rate = self.creator_fee_rate
        gross_out = amount_out if on_input else ceil_div(amount_out * RATE, RATE - creator_rate)
        net_in = input_for(gross_out, *self._reserves(a_to_b))
        rate = self.trade_fee_rate + creator_rate if on_input else self.trade_fee_rate
        amount_in = ceil_div(net_in * RATE, RATE - rate)
        fee_in = amount_in - net_in
        if on_input:
            creator_fee = fee_in * creator_rate // rate if rate else 0
            return self._quote(
                a_to_b, amount_in, amount_out, self._fees(fee_in - creator_fee, creator_fee), NO_FEES
            )
        fees_out = Fees(creator=gross_out - amount_out)
        return self._quote(a_to_b, amount_in, amount_out, self._fees(fee_in), fees_out)

    def creator_fee_is_on_input(self, a_to_b: bool) -> bool:
        """Whether what goes in this way is what the creator is paid in."""
        on = self.creator_fee_on
        return on is _INPUT or (on is _TOKEN_A) is a_to_b

    def _reserves(self, a_to_b: bool) -> tuple[int, int]:
        return (self.reserve_a, self.reserve_b) if a_to_b else (self.reserve_b, self.reserve_a)

    def _fees(self, trade_fee: int, creator_fee: int = 0) -> Fees:
        protocol_fee = trade_fee * self.protocol_fee_rate // RATE
        fund_fee = trade_fee * self.fund_fee_rate // RATE
        return Fees(trade_fee - protocol_fee - fund_fee, protocol_fee, fund_fee, creator_fee)

    def _quote(
        self, a_to_b: bool, amount_in: int, amount_out: int, fees_in: Fees, fees_out: Fees
    ) -> PoolQuote[CpmmPool]:
        reserve_in, reserve_out = self._reserves(a_to_b)
        in_after = (
            reserve_in + amount_in - fees_in.total + fees_in.lp
        )  # only the liquidity providers' fee stays
        out_after = reserve_out - amount_out - fees_out.creator
        after = (
            self._with_reserves(in_after, out_after) if a_to_b else self._with_reserves(out_after, in_after)
        )
        return PoolQuote(amount_in, amount_out, fees_in, fees_out, Price(reserve_out, reserve_in), after)

    def _with_reserves(self, reserve_a: int, reserve_b: int) -> CpmmPool:
        return CpmmPool(
            reserve_a,
            reserve_b,
            self.trade_fee_rate,
            self.protocol_fee_rate,
            self.fund_fee_rate,
            self.creator_fee_rate,
            self.creator_fee_on,
        )

"""Raydium CLMM: liquidity in ranges of price, a fee that can follow volatility, and can be taken of one token only."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from app.venues.pools.clmm_swap import ClmmSwap, VolatileClmmSwap
from app.venues.pools.integers import Q64
from app.venues.pools.quote import (
    NO_FEES,
    AmountTooSmall,
    Fees,
    InsufficientLiquidity,
    PoolError,
    PoolQuote,
    Price,
    PriceRangeViolation,
)

_RATE_SCALE: Final = 1_000_000
_REDUCTION_SCALE: Final = 10_000


class DynamicFee(msgspec.Struct, frozen=True, gc=False):
    """What the fee adds for volatility: times in seconds, factors as `states/pool_fee.rs` of raydium-clmm scales them.

    An index counts tick spacings; volatility counts 1e-4 of one.
    """

    filter_period: int
    decay_period: int
    reduction_factor: int
    control: int
    max_volatility: int
    index_reference: int
    volatility_reference: int
    volatility: int  # the accumulator
    updated_at: int

    def since(self, index: int, now: int) -> DynamicFee:
        """With the references that a swap starts from: `update_reference` in `states/pool_fee.rs` (Apache-2.0)."""
        elapsed = now - self.updated_at
        if elapsed < self.filter_period:
            return self
        decayed = (
            self.volatility * self.reduction_factor // _REDUCTION_SCALE if elapsed < self.decay_period else 0
        )
        return self._with(index, decayed, self.volatility, now)

    def after(self, volatility: int) -> DynamicFee:
        return self._with(self.index_reference, self.volatility_reference, volatility, self.updated_at)

    def _with(self, index: int, reference: int, volatility: int, now: int) -> DynamicFee:
        return DynamicFee(
            self.filter_period,
            self.decay_period,
            self.reduction_factor,
            self.control,
            self.max_volatility,
            index,
            reference,
            volatility,
            now,
        )


class ClmmPool(msgspec.Struct, frozen=True, gc=False):
    """A pool of token 0 and token 1; the price is of token 0 in token 1, its square root in Q64.64.

    `ticks` ascend, and `liquidity_nets` says what crossing each of them upwards adds. Rates in 1e-6; protocol and
    fund get theirs out of the trade fee.
    """

    tick_spacing: int
    tick: int
    sqrt_price: int
    liquidity: int
    fee_on: Literal[0, 1, 2]  # the input, only token 0, only token 1
    trade_fee_rate: int
    protocol_fee_rate: int
    fund_fee_rate: int
    ticks: tuple[int, ...]
    liquidity_nets: tuple[int, ...]
    dynamic_fee: DynamicFee | None = None

    def amount_out(self, amount_in: int, a_to_b: bool, at: int = 0) -> int:
        swap = self.swap(amount_in, a_to_b, at, exact_in=True)
        if swap.remaining or not swap.calculated:
            raise _refusal(swap)
        return swap.calculated

    def quote_exact_in(self, amount_in: int, a_to_b: bool, at: int = 0) -> PoolQuote[ClmmPool]:
        swap = self.swap(amount_in, a_to_b, at, exact_in=True)
        return self._quote(swap, amount_in, swap.calculated)

    def quote_exact_out(self, amount_out: int, a_to_b: bool, at: int = 0) -> PoolQuote[ClmmPool]:
        swap = self.swap(amount_out, a_to_b, at, exact_in=False)
        return self._quote(swap, swap.calculated, amount_out)

    def swap(self, amount: int, zero_for_one: bool, at: int, *, exact_in: bool) -> ClmmSwap:
        """A swap as far as the pool's liquidity goes: it may leave some of the amount `remaining`."""
        swap = self.begin(amount, zero_for_one, at, exact_in=exact_in)
        swap.run()
        return swap

    def begin(self, amount: int, zero_for_one: bool, at: int, *, exact_in: bool) -> ClmmSwap:
        """A swap that has not run yet. Raises AmountTooSmall."""
        if amount < 1:
            raise AmountTooSmall("There is nothing to swap.")
        if self.dynamic_fee is None:
            return ClmmSwap(self, amount, zero_for_one, exact_in)
        fee = self.dynamic_fee.since(self.tick // self.tick_spacing, at)
        return VolatileClmmSwap(self, amount, zero_for_one, exact_in, fee)

    def _quote(self, swap: ClmmSwap, amount_in: int, amount_out: int) -> PoolQuote[ClmmPool]:
        if swap.remaining or not swap.calculated:
            raise _refusal(swap)
        fees = self._split(swap.fees)
        squared = self.sqrt_price * self.sqrt_price
        return PoolQuote(
            amount_in=amount_in,
            amount_out=amount_out,
            fees_in=fees if swap.fee_on_input else NO_FEES,
            fees_out=NO_FEES if swap.fee_on_input else fees,
            spot=Price(squared, Q64 * Q64) if swap.zero_for_one else Price(Q64 * Q64, squared),
            after=self._after(swap),
        )

    def _split(self, fees: list[int]) -> Fees:
        """Protocol's and fund's shares are rounded down at every step: `spilt_fees` in `instructions/swap.rs`."""
        protocol = sum(fee * self.protocol_fee_rate // _RATE_SCALE for fee in fees)
        fund = sum(fee * self.fund_fee_rate // _RATE_SCALE for fee in fees)
        return Fees(lp=sum(fees) - protocol - fund, protocol=protocol, fund=fund)

    def _after(self, swap: ClmmSwap) -> ClmmPool:
        return ClmmPool(
            self.tick_spacing,
            swap.tick,
            swap.price,
            swap.liquidity,
            self.fee_on,
            self.trade_fee_rate,
            self.protocol_fee_rate,
            self.fund_fee_rate,
            self.ticks,
            self.liquidity_nets,
            swap.dynamic_fee.after(swap.volatility) if isinstance(swap, VolatileClmmSwap) else None,
        )


def _refusal(swap: ClmmSwap) -> PoolError:
    if not swap.remaining:
        return AmountTooSmall("Nothing is left of the amount after fees.")
    if swap.price == swap.limit:
        return PriceRangeViolation("The swap would move the price out of the pool's range.")
    return InsufficientLiquidity("The pool has not enough liquidity for the swap.")

"""Meteora DLMM: a book of bins, each at one price; a base fee and one that follows volatility; limit orders."""

from __future__ import annotations

from typing import Literal

import msgspec

from app.venues.pools.dlmm_bins import BASIS_POINTS, Bin, bin_price
from app.venues.pools.dlmm_settlement import Settlement, settle
from app.venues.pools.dlmm_swap import DlmmSwap
from app.venues.pools.integers import Q64
from app.venues.pools.quote import NO_FEES, AmountTooSmall, Fees, InsufficientLiquidity, PoolQuote, Price


class DlmmPool(msgspec.Struct, frozen=True, gc=False):
    """A pool of token X and token Y; `bin_ids` ascend and belong to `bins`, an id that is missing is an empty bin.

    Times in seconds, amounts in base units; a bin id is an index of price, volatility counts 1e-4 of one.
    """

    active_id: int
    bin_step: int  # basis points
    base_factor: int
    base_fee_power_factor: int
    filter_period: int
    decay_period: int
    reduction_factor: int  # basis points
    variable_fee_control: int
    max_volatility: int
    protocol_share: int  # basis points of the fee
    collect_fee_mode: Literal[0, 1]  # of the input, only of Y
    limit_orders: bool
    volatility: int  # the accumulator
    volatility_reference: int
    index_reference: int
    updated_at: int
    bin_ids: tuple[int, ...]
    bins: tuple[Bin, ...]
    unclaimed_x: int = (
        0  # in the vault and of no bin: what filled orders got, and fees that nobody was credited with
    )
    unclaimed_y: int = 0

    def amount_out(self, amount_in: int, a_to_b: bool, at: int = 0) -> int:
        """The `amount_out` of `quote_exact_in`; zero where the input buys less than one base unit."""
        return sum([fill.received for fill in self.swap(amount_in, a_to_b, at, exact_in=True).fills])

    def quote_exact_in(self, amount_in: int, a_to_b: bool, at: int = 0) -> PoolQuote[DlmmPool]:
        """The swap that takes this amount, fees included; its output is zero where that buys less than a base unit."""
        return self._quote(self.swap(amount_in, a_to_b, at, exact_in=True), at)

    def quote_exact_out(self, amount_out: int, a_to_b: bool, at: int = 0) -> PoolQuote[DlmmPool]:
        """The swap that gives this amount; what a base unit of input buys beyond it goes to the protocol."""
        return self._quote(self.swap(amount_out, a_to_b, at, exact_in=False), at)

    def swap(self, amount: int, swap_for_y: bool, at: int, *, exact_in: bool) -> DlmmSwap:
        """What each bin does. Raises AmountTooSmall, InsufficientLiquidity."""
        if amount < 1:
            raise AmountTooSmall("There is nothing to swap.")
        swap = DlmmSwap(self, amount, swap_for_y, at)
        if exact_in:
            swap.exact_in()
        else:
            swap.exact_out()
        if swap.remaining:
            raise InsufficientLiquidity("The pool has not enough liquidity for the swap.")
        return swap

    def references(self, now: int) -> tuple[int, int]:
        """Index and volatility that a swap's volatility counts from: `updateReference` in `dlmm/index.ts` (ISC)."""
        elapsed = now - self.updated_at
        if elapsed < self.filter_period:
            return self.index_reference, self.volatility_reference
        if elapsed < self.decay_period:
            return self.active_id, self.volatility * self.reduction_factor // BASIS_POINTS
        return self.active_id, 0

    def _quote(self, swap: DlmmSwap, now: int) -> PoolQuote[DlmmPool]:
        settled = settle(swap)
        price = bin_price(self.active_id, self.bin_step)
        fees_in, fees_out = settled.fees, settled.surplus
        if not swap.fee_on_input:
            fees_in, fees_out = NO_FEES, Fees(fees_in.lp, fees_in.protocol + fees_out.protocol)
        return PoolQuote(
            amount_in=sum([fill.paid for fill in swap.fills]),
            amount_out=sum([fill.received for fill in swap.fills]),
            fees_in=fees_in,
            fees_out=fees_out,
            spot=Price(price, Q64) if swap.swap_for_y else Price(Q64, price),
            after=self._after(swap, settled, now),
        )

    def _after(self, swap: DlmmSwap, settled: Settlement, now: int) -> DlmmPool:
        active_id = self.bin_ids[swap.fills[-1].at]
        unclaimed_x, unclaimed_y = (settled.unclaimed, 0) if swap.swap_for_y else (0, settled.unclaimed)
        return DlmmPool(
            active_id,
            self.bin_step,
            self.base_factor,
            self.base_fee_power_factor,
            self.filter_period,
            self.decay_period,
            self.reduction_factor,
            self.variable_fee_control,
            self.max_volatility,
            self.protocol_share,
            self.collect_fee_mode,
            self.limit_orders,
            swap.volatility,
            swap.volatility_reference,
            swap.index_reference,
            self.updated_at if active_id == self.active_id else now,
            self.bin_ids,
            settled.bins,
            self.unclaimed_x + unclaimed_x,
            self.unclaimed_y + unclaimed_y,
        )

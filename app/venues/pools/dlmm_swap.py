"""A swap through a liquidity book: from bin to bin, until the amount or the liquidity is used up.

The loops are `swapQuote` and `swapQuoteExactOut` in `dlmm/index.ts`, a bin's part in them `swapExactInQuoteAtBin` and
`swapExactOutQuoteAtBin` in `helpers/bin.ts`, fees `helpers/fee.ts` of Meteora's @meteora-ag/dlmm (ISC).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Final

import msgspec

from app.venues.pools.dlmm_bins import BASIS_POINTS, amount_in_for, amount_out_for
from app.venues.pools.integers import Q64

if TYPE_CHECKING:
    from app.venues.pools.dlmm import DlmmPool

FEE_SCALE: Final = 1_000_000_000
MAX_FEE_RATE: Final = 100_000_000  # 1e-9: 10 %
_VARIABLE_FEE_SCALE: Final = 100_000_000_000


class Fill(msgspec.Struct, frozen=True, gc=False):
    """What one bin does in a swap."""

    at: int  # the bin's place in the pool
    net_in: int  # what buys: the input without the fee, where the fee is of the input
    gross_out: int  # what leaves the bin
    paid: int
    received: int
    fee: int
    surplus: int = 0  # of the output, beyond what was asked for


class DlmmSwap:
    """One swap on its way; what it leaves `remaining` the pool cannot fill."""

    __slots__ = (
        "_base_rate",
        "_max_volatility",
        "_slope",
        "fee_on_input",
        "fills",
        "index_reference",
        "pool",
        "remaining",
        "swap_for_y",
        "volatility",
        "volatility_reference",
    )

    def __init__(self, pool: DlmmPool, amount: int, swap_for_y: bool, at: int) -> None:
        self.pool = pool
        self.swap_for_y = swap_for_y
        self.fee_on_input = pool.collect_fee_mode == 0 or not swap_for_y
        self.remaining = amount
        self.fills: list[Fill] = []
        self.volatility = pool.volatility
        self.index_reference, self.volatility_reference = pool.references(at)
        self._base_rate: int = pool.base_factor * pool.bin_step * 10 ** (pool.base_fee_power_factor + 1)
        self._max_volatility = pool.max_volatility
        self._slope = -pool.variable_fee_control * pool.bin_step * pool.bin_step

    def rate_at(self, bin_id: int) -> int:
        """The fee in 1e-9 that a swap pays in this bin: `getTotalFee`."""
        volatility = self.volatility_reference + abs(self.index_reference - bin_id) * BASIS_POINTS
        if volatility > self._max_volatility:  # noqa: PLR1730  # for every bin: calls of min() are a tenth of a quote
            volatility = self._max_volatility
        self.volatility = volatility
        rate = self._base_rate - self._slope * volatility * volatility // _VARIABLE_FEE_SCALE
        return rate if rate < MAX_FEE_RATE else MAX_FEE_RATE  # noqa: FURB136

    def exact_in(self) -> None:
        ids = self.pool.bin_ids
        for at in self._path():
            liquidity = self.liquidity(at)
            if any(liquidity):
                fill = self._sell(at, liquidity, self.remaining, self.rate_at(ids[at]))
                self.fills.append(fill)
                self.remaining -= fill.paid
                if not self.remaining:
                    return

    def exact_out(self) -> None:
        ids = self.pool.bin_ids
        for at in self._path():
            liquidity = self.liquidity(at)
            if any(liquidity):
                fill = self._buy(at, liquidity, self.rate_at(ids[at]))
                if fill.received:  # else the fee would eat up all that the bin has
                    self.fills.append(fill)
                    self.remaining -= fill.received
                    if not self.remaining:
                        return

    def _path(self) -> range:
        ids, active_id = self.pool.bin_ids, self.pool.active_id
        if self.swap_for_y:
            return range(bisect_right(ids, active_id) - 1, -1, -1)
        return range(bisect_left(ids, active_id), len(ids))

    def liquidity(self, at: int) -> tuple[int, ...]:
        """What the bin has to sell, in the order of selling: the providers', then the limit orders'."""
        held = self.pool.bins[at]
        amount = held.amount_y if self.swap_for_y else held.amount_x
        if self.pool.limit_orders and held.is_ask is not self.swap_for_y:
            return amount, held.processed_order, held.open_order
        return (amount,)

    def _sell(self, at: int, liquidity: tuple[int, ...], amount: int, rate: int) -> Fill:
        """As much of this input as the bin can take: `swapExactInQuoteAtBin`."""
        price, swap_for_y = self.pool.bins[at].price, self.swap_for_y
        net = amount - -(-amount * rate // FEE_SCALE) if self.fee_on_input else amount
        left, gross = net, 0
        for part in liquidity:
            needed = amount_in_for(part, price, swap_for_y)
            if left < needed:
                gross += amount_out_for(left, price, swap_for_y)
                left = 0
                break
            left -= needed
            gross += part
        if left:
            net -= left
            amount = -(-net * FEE_SCALE // (FEE_SCALE - rate)) if self.fee_on_input else net
        if self.fee_on_input:
            return Fill(at, net, gross, amount, gross, amount - net)
        fee = -(-gross * rate // FEE_SCALE)
        return Fill(at, net, gross, amount, gross - fee, fee)

    def _buy(self, at: int, liquidity: tuple[int, ...], rate: int) -> Fill:
        """As much of the output that remains as the bin has: `swapExactOutQuoteAtBin`."""
        wanted = self.remaining
        gross = wanted if self.fee_on_input else -(-wanted * FEE_SCALE // (FEE_SCALE - rate))
        if gross >= sum(liquidity):
            return self._sell(at, liquidity, Q64 - 1, rate)
        price, swap_for_y = self.pool.bins[at].price, self.swap_for_y
        net = 0
        for part in liquidity:
            taken = min(part, gross)
            net += amount_in_for(taken, price, swap_for_y)
            gross -= taken
        paid = -(-net * FEE_SCALE // (FEE_SCALE - rate)) if self.fee_on_input else net
        fill = self._sell(at, liquidity, paid, rate)
        return Fill(at, fill.net_in, fill.gross_out, fill.paid, wanted, fill.fee, fill.received - wanted)

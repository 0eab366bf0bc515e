"""A swap through a concentrated-liquidity pool: from tick to tick, until the amount or the liquidity is used up.

The loop is `swap_internal` in `instructions/swap.rs` of raydium-clmm (Apache-2.0), without its limit orders.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final

from app.venues.pools.clmm_steps import buy_0, buy_1, sell_0, sell_1
from app.venues.pools.clmm_ticks import MAX_SQRT_PRICE, MIN_SQRT_PRICE, sqrt_price_at_tick, tick_at_sqrt_price

if TYPE_CHECKING:
    from app.venues.pools.clmm import ClmmPool, DynamicFee

MAX_FEE_RATE: Final = 100_000  # 1e-6: 10 %
VOLATILITY_SCALE: Final = 10_000
_CONTROL_SCALE: Final = 100_000 * VOLATILITY_SCALE**2
_STEPPERS: Final = {(True, True): sell_0, (True, False): sell_1, (False, True): buy_1, (False, False): buy_0}


class ClmmSwap:
    """One swap on its way; `run` takes it to its end, and what is then left `remaining` the pool cannot fill."""

    __slots__ = (
        "_tick",
        "calculated",
        "fee_on_input",
        "fees",
        "limit",
        "liquidity",
        "pool",
        "price",
        "remaining",
        "stepper",
        "zero_for_one",
    )

    def __init__(self, pool: ClmmPool, amount: int, zero_for_one: bool, exact_in: bool) -> None:
        self.pool = pool
        self.zero_for_one = zero_for_one
        self.remaining = amount  # base units of the side that is given
        self.calculated = 0  # base units of the other side
        self.fees: list[int] = []  # of every step
        self.price = pool.sqrt_price
        self.limit = MIN_SQRT_PRICE + 1 if zero_for_one else MAX_SQRT_PRICE - 1
        self.liquidity = pool.liquidity
        self._tick: int | None = pool.tick
        self.stepper = _STEPPERS[exact_in, zero_for_one]
        self.fee_on_input = pool.fee_on == 0 or (pool.fee_on == 1) == zero_for_one

    @property
    def tick(self) -> int:
        """The tick that the price is in; at a tick just crossed, the one beyond it."""
        return tick_at_sqrt_price(self.price) if self._tick is None else self._tick

    def run(self) -> None:
        ticks, nets = self.pool.ticks, self.pool.liquidity_nets
        zero_for_one, limit = self.zero_for_one, self.limit
        at = bisect_right(ticks, self.pool.tick) - zero_for_one
        while self.remaining and self.price != limit and 0 <= at < len(ticks):
            tick = ticks[at]
            tick_price = sqrt_price_at_tick(tick)
            target = limit if (tick_price < limit) is zero_for_one else tick_price
            if not self._approach(target):
                return
            if self.price != tick_price:
                continue
            if zero_for_one:
                self.liquidity -= nets[at]
                self._tick = tick - 1
                at -= 1
            else:
                self.liquidity += nets[at]
                self._tick = tick
                at += 1

    def _approach(self, target: int) -> bool:
        """Towards the price of the next tick, in one step or several.

        False where the rest of the input is too little to move the price, yet no fee takes it: the program would
        never end.
        """
        return self._advance(target, self.pool.trade_fee_rate)

    def _advance(self, target: int, rate: int) -> bool:
        before = self.price
        price, used, other, fee = self.stepper(
            before, target, self.liquidity, self.remaining, rate, self.fee_on_input
        )
        self.remaining -= used
        self.calculated += other
        self.fees.append(fee)
        if price != before:
            self.price = price
            self._tick = None
            return True
        return price == target


class VolatileClmmSwap(ClmmSwap):
    """A swap through a pool with a dynamic fee: every tick spacing that the price enters has a rate of its own."""

    __slots__ = ("_index", "dynamic_fee", "volatility")

    def __init__(
        self, pool: ClmmPool, amount: int, zero_for_one: bool, exact_in: bool, fee: DynamicFee
    ) -> None:
        """`fee` is the pool's, its references as old as the swap says."""
        super().__init__(pool, amount, zero_for_one, exact_in)
        self.dynamic_fee = fee
        self.volatility = fee.volatility
        self._index = pool.tick // pool.tick_spacing  # of the tick spacing that the price is in

    def _approach(self, target: int) -> bool:
        fee, spacing, zero_for_one = self.dynamic_fee, self.pool.tick_spacing, self.zero_for_one
        reference, origin, ceiling = fee.volatility_reference, fee.index_reference, fee.max_volatility
        base_rate, slope = self.pool.trade_fee_rate, -fee.control * spacing * spacing
        onward, edge_ahead = (-1, 0) if zero_for_one else (1, 1)
        while True:
            volatility = reference + abs(origin - self._index) * VOLATILITY_SCALE
            volatility = min(volatility, ceiling)
            self.volatility = volatility
            rate = base_rate - slope * volatility * volatility // _CONTROL_SCALE
            rate = min(rate, MAX_FEE_RATE)
            if volatility == ceiling or not self.liquidity:
                progress = self._advance(target, rate)
                self._index = self._index_beyond(spacing)
            else:
                edge = sqrt_price_at_tick((self._index + edge_ahead) * spacing)
                progress = self._advance(edge if (edge > target) is zero_for_one else target, rate)
                self._index += onward
            if not progress or not self.remaining or self.price == target:
                return progress

    def _index_beyond(self, spacing: int) -> int:
        if not self.remaining:
            return self._index
        tick = tick_at_sqrt_price(self.price)
        return tick // spacing - 1 if self.zero_for_one else -(-tick // spacing)

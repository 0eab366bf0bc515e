"""Every pool of a market, and what trades make of them: those of orders, and those that happen by themselves.

What happens by itself depends on the seed and the slot alone. At the start of an epoch the makers set their pools up
anew; at every tick a trader without a reason trades in each pool, and arbitrageurs bring back what has strayed from the
fair price. They also come once a slot in which somebody traded is over. So the state at a slot is a
function of the transactions that landed up to it, whoever looks, and an idle month costs one epoch to catch up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final, Self

from app.orders.tokens import Token
from app.venues.pools.dlmm_bins import BASIS_POINTS
from app.venues.pools.quote import AmountTooSmall, InsufficientLiquidity, PoolError
from app.venues.routing.plan import PoolKind
from app.venues.simulated.genesis import EPOCH_SLOTS, epoch_of, open_pool, stray_of
from app.venues.simulated.listings import LISTINGS
from app.venues.simulated.market import MILLION, SLOT_MS, Market
from app.venues.simulated.pool_rows import PoolRow
from app.venues.simulated.steering import next_price, price_of, trade_to

TICK_SLOTS: Final = 16
NOISE_MILLIONTHS: Final = 500  # how far a trade without a reason takes a price, at most
BEFORE_ALL: Final = -1


class Exchange:
    """The pools as they are in `slot`; `opening` has the prices at which those traded in that slot entered it."""

    def __init__(
        self,
        market: Market,
        slot: int = BEFORE_ALL,
        pools: Mapping[str, PoolRow] | None = None,
        opening: Mapping[str, tuple[int, int]] | None = None,
    ) -> None:
        self.market = market
        self.slot = slot
        self.pools = dict(pools or {})
        self.opening = dict(opening or {})
        self.changed: set[str] = set()

    def copy(self) -> Self:
        """As it is now, with nothing counted as changed."""
        return type(self)(self.market, self.slot, self.pools, self.opening)

    @property
    def now(self) -> int:
        """The time by which pools compute their fees, in Unix seconds."""
        return self.slot * SLOT_MS // 1000

    def swap(self, pool_id: str, amount_in: int, a_to_b: bool) -> int:
        """Trades, and says what came out, in base units. Raises PoolError, and nothing has happened then."""
        row = self.pools[pool_id]
        quote = row.state.quote_exact_in(amount_in, a_to_b, self.now)
        if quote.amount_out <= 0:
            raise AmountTooSmall("The amount buys less than the smallest unit.")
        sent, received = (quote.amount_in, -quote.amount_out)
        balance_a = row.balance_a + (sent if a_to_b else received)
        balance_b = row.balance_b + (received if a_to_b else sent)
        if balance_a < 0 or balance_b < 0:
            raise InsufficientLiquidity("The pool does not hold the amount.")
        self.pools[pool_id] = PoolRow(quote.after, balance_a, balance_b, self.slot)
        self.changed.add(pool_id)
        return quote.amount_out

    def price(self, pool_id: str) -> int:
        """The square root of what the pool takes A to be worth in B, as Q64.64."""
        return price_of(self.pools[pool_id].state)

    def enter(self, pool_id: str) -> tuple[int, int]:
        """The prices of the next unit sold and bought with which the pool entered the slot; it is traded in from now on."""
        if pool_id not in self.opening:
            state = self.pools[pool_id].state
            self.opening[pool_id] = next_price(state, True), next_price(state, False)
        return self.opening[pool_id]

    def push(self, pool_id: str, target: int) -> None:
        """Trades until the pool's price is there, as far as that goes."""
        amount, a_to_b = trade_to(self.pools[pool_id].state, target, self.now)
        if amount > 0:
            with suppress(PoolError):
                self.swap(pool_id, amount, a_to_b)

    def roll(self, slot: int) -> None:
        """Goes on to this slot, with all that happens by itself on the way; does nothing when it is there already."""
        if slot <= self.slot:
            return
        if epoch_of(slot) != epoch_of(self.slot) or not self.pools:
            self._open(epoch_of(slot))
        elif self.opening:
            self._arbitrage(self.opening)
        self.opening = {}
        first = self.slot // TICK_SLOTS * TICK_SLOTS + TICK_SLOTS
        for tick in range(first, slot + 1, TICK_SLOTS):
            self.slot = tick
            self._trade_without_reason()
            self._arbitrage(self.pools)
        self.slot = slot

    def open_new(self) -> None:
        """Sets up what has been listed since the market was written, as at the beginning of the epoch."""
        if self.pools:  # else all of it is set up with the first slot
            self._set_up(epoch_of(self.slot), LISTINGS.keys() - self.pools.keys())

    def _open(self, epoch: int) -> None:
        self.slot = epoch * EPOCH_SLOTS
        self._set_up(epoch, LISTINGS)

    def _set_up(self, epoch: int, pool_ids: Iterable[str]) -> None:
        for pool_id in pool_ids:
            self.pools[pool_id] = PoolRow(*open_pool(self.market, LISTINGS[pool_id], epoch), self.slot)
            self.changed.add(pool_id)

    def _trade_without_reason(self) -> None:
        for pool_id, listing in LISTINGS.items():
            drawn = self.market.draws.below(2 * NOISE_MILLIONTHS + 1, "noise", pool_id, self.slot)
            shift = drawn - NOISE_MILLIONTHS
            # A book of bins cannot be moved by less than a bin.
            if listing.kind is not PoolKind.DLMM or 2 * abs(shift) > listing.step * MILLION // BASIS_POINTS:
                self.push(pool_id, self.price(pool_id) * (2 * MILLION + shift) // (2 * MILLION))

    def _arbitrage(self, pool_ids: Mapping[str, object]) -> None:
        """A price that is further from the fair one than STRAY, or than the fee, is brought back that far."""
        fair: dict[tuple[Token, Token], int] = {}
        for pool_id in sorted(pool_ids):
            listing = LISTINGS[pool_id]
            pair = listing.token_a, listing.token_b
            if pair not in fair:
                fair[pair] = self.market.sqrt_price(*pair, self.slot)
            price = self.price(pool_id)
            stray = stray_of(listing)
            low, high = (fair[pair] * (2 * MILLION + sign * stray) // (2 * MILLION) for sign in (-1, 1))
            if not low <= price <= high:
                self.push(pool_id, min(max(price, low), high))

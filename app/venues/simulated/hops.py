"""Single swaps over one state of the pools: which pool pays the most, and which could have a part in a route at all.

What a pool pays for its first base unit is the most that it ever pays for one. Where that is not above what the best way
known pays for its last one, the pool has no part in the best split: a unit would only go there from where it is worth
more (the pools that are used have one marginal price, see app/venues/routing/curve.py, and it is no lower than that).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import inf
from typing import Final, NamedTuple

from app.orders.model import Swap
from app.orders.tokens import TOKENS, Token
from app.venues.pools.quote import PoolError
from app.venues.routing.plan import RoutedPool
from app.venues.routing.profiles import profile
from app.venues.simulated.exchange import Exchange
from app.venues.simulated.listings import LISTINGS

_STEP: Final = 1000  # the last unit's price is taken over this part of the amount
_ROUNDING: Final = 3  # base units that roundings may move it
_SLACK: Final = 1e-6  # in a bin the first unit is worth what the last one is


class Way(NamedTuple):
    """A pool in one direction; `first_price` is what it pays for the first base unit, in base units, after fees."""

    first_price: float
    pool: RoutedPool
    a_to_b: bool
    holds: int  # of the token sold, in base units


class Hop(NamedTuple):
    """A swap in one pool, as quoted."""

    pool: RoutedPool
    token_in: Token
    token_out: Token
    amount_in: int
    amount_out: int


class Hops:
    """Every way of one hop over these pools, and what was found of them."""

    def __init__(self, exchange: Exchange) -> None:
        self.pools = {
            pool_id: RoutedPool(
                pool_id,
                listing.venue,
                listing.kind,
                listing.token_a,
                listing.token_b,
                exchange.pools[pool_id].state,
                exchange.now,
            )
            for pool_id, listing in LISTINGS.items()
        }
        self._exchange = exchange
        self._ways: dict[tuple[Token, Token], list[Way]] = {}

    def best_way(self, venues: Collection[str], swap: Swap) -> tuple[Hop | None, list[list[Hop]]]:
        """The best hop straight there, and those over a third token that could pay more."""
        direct = self._best(venues, swap.token_in, swap.token_out, swap.amount_in)
        most = direct.amount_out if direct else 0
        over = []
        for token, (firsts, seconds) in self._over(venues, swap).items():
            if firsts[0].first_price * seconds[0].first_price * swap.amount_in > most:
                first = self._best(venues, swap.token_in, token, swap.amount_in)
                second = first and self._best(venues, token, swap.token_out, first.amount_out)
                if first and second:
                    over.append([first, second])
        return direct, over

    def prospects(self, venues: Collection[str], swap: Swap) -> list[RoutedPool]:
        """The pools that can have a part in the best route; those of the best ways are among them."""
        direct, over = self.best_way(venues, swap)
        known = [*([[direct]] if direct else []), *over]
        last = max((self._last_price(hops) for hops in known), default=0.0) * (1 - _SLACK)
        chosen = {hop.pool.id for hops in known for hop in hops}
        straight = self._between(venues, swap.token_in, swap.token_out)
        chosen |= {way.pool.id for way in straight if way.first_price > last}
        for firsts, seconds in self._over(venues, swap).values():
            best_first, best_second = firsts[0].first_price, seconds[0].first_price
            chosen |= {way.pool.id for way in firsts if way.first_price * best_second > last}
            chosen |= {way.pool.id for way in seconds if way.first_price * best_first > last}
        return [pool for pool_id, pool in self.pools.items() if pool_id in chosen]

    def _over(self, venues: Collection[str], swap: Swap) -> dict[Token, tuple[list[Way], list[Way]]]:
        found = {}
        for token in TOKENS:
            firsts = self._between(venues, swap.token_in, token)
            seconds = self._between(venues, token, swap.token_out)
            if firsts and seconds:
                found[token] = firsts, seconds
        return found

    def _best(self, venues: Collection[str], token_in: Token, token_out: Token, amount_in: int) -> Hop | None:
        """Of the pools that hold as much of the token sold as is sold, the one that pays the most."""
        best, most = None, 0
        for way in self._between(venues, token_in, token_out):
            if way.first_price * amount_in <= most:
                break
            if amount_in <= way.holds and (amount_out := _amount_out(way, amount_in)) > most:
                best, most = Hop(way.pool, token_in, token_out, amount_in, amount_out), amount_out
        return best

    def _last_price(self, hops: Sequence[Hop]) -> float:
        """What these pay for the last base unit, no higher than it is."""
        step = hops[0].amount_in // _STEP + 1
        amount = hops[0].amount_in + step
        for hop in hops:
            ways = self._between((hop.pool.venue,), hop.token_in, hop.token_out)
            amount = _amount_out(next(way for way in ways if way.pool is hop.pool), amount)
        return max(0.0, (amount - hops[-1].amount_out - _ROUNDING) / step)

    def _between(self, venues: Collection[str], token_in: Token, token_out: Token) -> list[Way]:
        """The ways from one token to the other, the best first price first."""
        key = token_in, token_out
        if key not in self._ways:
            leading = [pool for pool in self.pools.values() if pool.leads(*key)]
            ways = [self._way(pool, pool.token_a == token_in) for pool in leading]
            self._ways[key] = sorted(ways, key=lambda way: (-way.first_price, way.pool.id))
        return [way for way in self._ways[key] if way.pool.venue in venues]

    def _way(self, pool: RoutedPool, a_to_b: bool) -> Way:
        row = self._exchange.pools[pool.id]
        pieces = profile(pool.state, a_to_b, pool.at, 1).pieces
        # One that has nothing to sell where it stands may have something further on.
        first_price = 1 / pieces[0].start ** 2 if pieces else inf
        return Way(first_price, pool, a_to_b, row.balance_a if a_to_b else row.balance_b)


def _amount_out(way: Way, amount_in: int) -> int:
    try:
        return way.pool.state.amount_out(amount_in, way.a_to_b, way.pool.at)
    except PoolError:
        return 0

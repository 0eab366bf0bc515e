"""What the pools of a moment would pay: each venue on its own, and all of them together. Asked twice, computed once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Final

from app.errors import Unfillable
from app.orders.model import Leg, Quote, Route, SinglePool, Swap
from app.orders.tokens import SOL, Token
from app.venues.routing import plan as routing
from app.venues.routing.plan import Plan
from app.venues.routing.solver import best_route
from app.venues.simulated.exchange import Exchange
from app.venues.simulated.hops import Hop, Hops
from app.venues.simulated.listings import LISTINGS

LEAST_PAID: Final = (
    2  # the part of its worth that a split pays at least: as a constant product that takes what it holds
)
MARGIN: Final = 0.005  # of the price: twice what searchers take at most, see app/venues/simulated/landing.py
LEG_COST: Final = 50_000  # lamports: what every leg beyond the first adds to a transaction's price


class Board:
    """Quotes and routes over one state of the pools."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self._hops = Hops(exchange)
        self._quotes: dict[tuple[str, Swap], Quote | Unfillable] = {}
        self._routes: dict[tuple[frozenset[str], Swap], Quote] = {}

    def quote(self, venue: str, swap: Swap) -> Quote:
        """What the venue pays in its best pool, or over two of its pools where that is worth more. Raises Unfillable.

        What is too much for any of these is split over all of its pools.
        """
        known = self._quotes.get((venue, swap))
        if known is None:
            known = self._alone((venue,), swap) or self._split((venue,), swap) or _unfillable()
            self._quotes[venue, swap] = known
        if isinstance(known, Unfillable):
            raise known
        return known

    def best(self, venues: Collection[str], swap: Swap) -> Quote:
        """What all pools of these venues pay together; the venue is that of the largest leg. Raises Unfillable."""
        key = frozenset(venues), swap
        if key not in self._routes:
            self._routes[key] = self._together(venues, swap)
        return self._routes[key]

    def too_small(self, swap: Swap) -> list[str]:
        """The venues that were asked and hold too little for the whole amount: they may still take a part."""
        return [
            venue
            for (venue, asked), quote in self._quotes.items()
            if asked == swap and isinstance(quote, Unfillable)
        ]

    def worth(self, quote: Quote, swap: Swap) -> int:
        """The quote's output less the cost of its legs, in base units of the token bought."""
        legs = len(quote.route.legs) if quote.route else 1
        return quote.amount_out - (legs - 1) * self.leg_cost(swap.token_out)

    def leg_cost(self, token: Token) -> int:
        """What every leg beyond the first costs, in base units of the token; floored."""
        mid, slot = self.exchange.market.mid, self.exchange.slot
        scale: int = 10**token.decimals
        worth: int = LEG_COST * mid(SOL, slot) * scale
        return worth // (mid(token, slot) * 10**9)

    def _fair_value(self, swap: Swap) -> int:
        """In base units of the token bought; floored."""
        mid, slot = self.exchange.market.mid, self.exchange.slot
        bought, sold = swap.token_out, swap.token_in
        value: int = swap.amount_in * mid(sold, slot) * 10**bought.decimals // 10**sold.decimals
        return value // mid(bought, slot)

    def _together(self, venues: Collection[str], swap: Swap) -> Quote:
        """A split, where more pools could have a part in it than the best way has."""
        alone = self._alone(venues, swap)
        split = self._split(venues, swap, used=len(alone.route.legs) if alone and alone.route else 0)
        found = [quote for quote in (alone, split) if quote]
        if not found:
            raise _unfillable()
        return max(found, key=lambda quote: self.worth(quote, swap))

    def _split(self, venues: Collection[str], swap: Swap, *, used: int = 0) -> Quote | None:
        """Over all pools that could have a part in it; None where these are those used already, or no market for it."""
        token_out = swap.token_out
        pools = self._hops.prospects(venues, swap)
        if len(pools) == used:
            return None
        try:
            plan = best_route(
                pools,
                swap.token_in,
                token_out,
                swap.amount_in,
                leg_cost=self.leg_cost(token_out),
                margin=MARGIN,
            )
        except Unfillable:
            return None
        if plan.amount_out * LEAST_PAID < self._fair_value(swap):
            return None
        largest = max(plan.legs, key=lambda leg: leg.amount_in if leg.token_in == swap.token_in else 0)
        route = Route(tuple(map(_leg, plan.legs)), _single(plan), plan.saving)
        return Quote(largest.venue, plan.amount_out, _fee_bps(plan), route)

    def _alone(self, venues: Collection[str], swap: Swap) -> Quote | None:
        """The best pool, or the best two in a row; None where they do not take the amount."""
        direct, over = self._hops.best_way(venues, swap)
        ways = [*([[direct]] if direct else []), *over]
        if not ways:
            return None
        cost = self.leg_cost(swap.token_out)
        best = max(ways, key=lambda way: way[-1].amount_out - cost * (len(way) - 1))
        net = best[-1].amount_out - cost * (len(best) - 1)
        single = direct and SinglePool(direct.pool.venue, direct.pool.id, direct.amount_out)
        route = Route(tuple(map(_quoted, best)), single, net - direct.amount_out if direct else 0)
        fee_bps = sum(LISTINGS[hop.pool.id].fee_bps for hop in best)
        return Quote(best[0].pool.venue, best[-1].amount_out, fee_bps, route)


class Desk:
    """The boards of a process, one after the other as the pools change."""

    def __init__(self) -> None:
        self._board: Board | None = None

    def board(self, exchange: Exchange) -> Board:
        if self._board is None or self._board.exchange is not exchange:
            self._board = Board(exchange)
        return self._board

    def choose(self, swap: Swap, quotes: Sequence[Quote]) -> Quote:
        """The route over the pools of all who quoted; or a quote that is worth more, for it saw the pools a slot ago."""
        assert self._board is not None
        board = self._board
        with suppress(Unfillable):  # the pools have changed since the quotes
            venues = [*(quote.venue for quote in quotes), *board.too_small(swap)]
            quotes = board.best(venues, swap), *quotes
        return max(quotes, key=lambda quote: board.worth(quote, swap))


def _unfillable() -> Unfillable:
    return Unfillable("The amount is more than the pools hold, or buys less than the smallest unit.")


def _quoted(hop: Hop) -> Leg:
    quote = hop.pool.state.quote_exact_in(hop.amount_in, hop.pool.token_a == hop.token_in, hop.pool.at)
    fees = quote.fees_in.total, quote.fees_out.total
    tokens = hop.token_in, hop.token_out
    return _leg(routing.Leg(hop.pool.id, hop.pool.venue, *tokens, hop.amount_in, hop.amount_out, *fees))


def _leg(leg: routing.Leg) -> Leg:
    kept = (1 - leg.fee_in / leg.amount_in) * (1 - leg.fee_out / (leg.amount_out + leg.fee_out))
    return Leg(
        leg.venue,
        leg.pool,
        LISTINGS[leg.pool].kind,
        leg.token_in,
        leg.token_out,
        leg.amount_in,
        leg.amount_out,
        round(1 - kept, 6),
    )


def _single(plan: Plan) -> SinglePool | None:
    single = plan.best_single
    return None if single is None else SinglePool(single.venue, single.pool, single.amount_out)


def _fee_bps(plan: Plan) -> int:
    """The listed fees of the legs, weighted by what goes in; where a token in between goes in, by what comes out."""
    fees = 0.0
    for leg in plan.legs:
        is_first = leg.token_in == plan.token_in
        share = leg.amount_in / plan.amount_in if is_first else leg.amount_out / plan.amount_out
        fees += share * LISTINGS[leg.pool].fee_bps
    return round(fees)

"""The best route for an amount: over all pools of all venues, one hop or two, split where that pays."""

from __future__ import annotations

from collections.abc import Iterable

from app.errors import Unfillable
from app.orders.tokens import Token
from app.venues.routing.allocation import IMPOSSIBLE, Allocation, Amounts
from app.venues.routing.network import Network, Way
from app.venues.routing.plan import Leg, Plan, RoutedPool, SinglePool
from app.venues.routing.selection import Selection


def best_route(
    pools: Iterable[RoutedPool],
    token_in: Token,
    token_out: Token,
    amount_in: int,
    *,
    leg_cost: int,
    margin: float = 0.0,
) -> Plan:
    """The plan that is worth the most: what it pays less `leg_cost` for every leg beyond the first.

    It can still be executed when every price has got worse by the part `margin`: so much is left in pools that the
    amount would exhaust.

    Amounts in base units, the cost in those of the token bought. It is never worth less than the best single pool, and
    falls short of the best there is by rounding alone. Raises Unfillable, also where what there is may be worth less
    than its legs cost.
    """
    if amount_in < 1 or token_in == token_out:
        raise Unfillable("There is nothing to swap.")
    network = Network(pools, token_in, token_out, amount_in, margin)
    single = _best_single(network)
    amounts = _best_amounts(network, leg_cost, {} if single is None else {single: amount_in})
    if not amounts:
        raise Unfillable("No route takes the whole amount.")
    legs = tuple(_leg(way, amount) for way, amount in amounts.items())
    return Plan(
        token_in=token_in,
        token_out=token_out,
        amount_in=amount_in,
        amount_out=sum(leg.amount_out for leg in legs if leg.token_out == token_out),
        cost=leg_cost * (len(legs) - 1),
        legs=legs,
        best_single=None if single is None else _single(single, amount_in),
    )


def _best_single(network: Network) -> Way | None:
    able = [way for way in network.direct if way.amount_out(network.amount_in) > 0]
    return max(able, key=lambda way: way.amount_out(network.amount_in), default=None)


def _best_amounts(network: Network, leg_cost: int, single: Amounts) -> Amounts:
    """Of equal ones the one with the fewest legs, a single pool before all others."""
    best: Amounts = single
    worth = sum(way.amount_out(amount) for way, amount in single.items()) if single else IMPOSSIBLE
    for candidate in Selection(network, leg_cost).candidates():
        allocation = Allocation(network, candidate, leg_cost)
        allocation.improve()
        if allocation.worth > worth:
            best, worth = allocation.amounts, allocation.worth
    return best


def _single(way: Way, amount: int) -> SinglePool:
    return SinglePool(way.pool.id, way.pool.venue, way.amount_out(amount))


def _leg(way: Way, amount: int) -> Leg:
    quote = way.pool.state.quote_exact_in(amount, way.a_to_b, way.pool.at)
    return Leg(
        way.pool.id,
        way.pool.venue,
        way.token_in,
        way.token_out,
        amount,
        quote.amount_out,
        quote.fees_in.total,
        quote.fees_out.total,
    )

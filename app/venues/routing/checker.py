"""Verifies a plan from the states of the pools alone; nothing here knows how plans are found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from app.errors import VenueError
from app.venues.pools.quote import PoolError
from app.venues.routing.plan import Leg, Plan, RoutedPool


class InvalidPlan(VenueError):  # noqa: N818  # reads as what it is
    """The plan is not what it says; `str(error)` says where."""


def check(plan: Plan, pools: Collection[RoutedPool], leg_cost: int) -> None:
    """That every leg pays what it says, that sums are exact, and that no single pool would have done better.

    `leg_cost` in base units of the token bought for every leg beyond the first. Raises InvalidPlan.
    """
    known = {pool.id: pool for pool in pools}
    for leg in plan.legs:
        _check_leg(leg, plan, known)
    _check_order(plan.legs, plan)
    _check_sums(plan, leg_cost)
    _check_single(plan, pools)


def _check_leg(leg: Leg, plan: Plan, known: dict[str, RoutedPool]) -> None:
    pool = known.get(leg.pool)
    _require(pool is not None, f"There is no pool {leg.pool}.")
    assert pool is not None
    _require(pool.venue == leg.venue, f"{leg.pool} is not of {leg.venue}.")
    _require(pool.leads(leg.token_in, leg.token_out), f"{leg.pool} does not exchange these tokens.")
    ends = {plan.token_in, plan.token_out}
    _require(leg.token_in != plan.token_out, f"{leg.pool} sells what was bought.")
    _require(leg.token_out != plan.token_in, f"{leg.pool} buys back what was sold.")
    _require(bool(ends & {leg.token_in, leg.token_out}), f"{leg.pool} is neither a first hop nor a last.")
    _require(leg.amount_in > 0 and leg.amount_out > 0, f"{leg.pool} has nothing to do.")
    try:
        quote = pool.state.quote_exact_in(leg.amount_in, pool.token_a == leg.token_in, pool.at)
    except PoolError as error:
        raise InvalidPlan(f"{leg.pool} cannot do it: {error}") from error
    given = (quote.amount_in, quote.amount_out, quote.fees_in.total, quote.fees_out.total)
    said = (leg.amount_in, leg.amount_out, leg.fee_in, leg.fee_out)
    _require(given == said, f"{leg.pool} gives {given}, not {said}.")


def _check_order(legs: Sequence[Leg], plan: Plan) -> None:
    _require(len({leg.pool for leg in legs}) == len(legs), "A pool is in two legs.")
    sold = set()
    for leg in legs:
        _require(leg.token_out not in sold, f"{leg.pool} brings what has been sold before.")
        sold |= {leg.token_in} - {plan.token_in}


def _check_sums(plan: Plan, leg_cost: int) -> None:
    balance = Counter({plan.token_in: plan.amount_in, plan.token_out: -plan.amount_out})
    for leg in plan.legs:
        balance[leg.token_in] -= leg.amount_in
        balance[leg.token_out] += leg.amount_out
    for token, left in balance.items():
        _require(left == 0, f"{left} base units of {token.symbol} are unaccounted for.")
    _require(plan.cost == leg_cost * (len(plan.legs) - 1), "The cost is not that of the legs.")


def _check_single(plan: Plan, pools: Collection[RoutedPool]) -> None:
    gives = {pool.id: _alone(pool, plan) for pool in pools if pool.leads(plan.token_in, plan.token_out)}
    best = max(gives.values(), default=0)
    single = plan.best_single
    if single is None:
        _require(best == 0, "A single pool could have taken it all.")
        return
    venues = {pool.id: pool.venue for pool in pools}
    _require(venues.get(single.pool) == single.venue, f"{single.pool} is not of {single.venue}.")
    _require(gives.get(single.pool) == single.amount_out == best, f"The best single pool gives {best}.")
    _require(plan.net_out >= best, "The best single pool would have been better.")


def _alone(pool: RoutedPool, plan: Plan) -> int:
    try:
        quote = pool.state.quote_exact_in(plan.amount_in, pool.token_a == plan.token_in, pool.at)
    except PoolError:
        return 0
    return quote.amount_out


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise InvalidPlan(otherwise)

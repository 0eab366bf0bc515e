"""The checker says no to every plan that is not what it says."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final

import pytest
from msgspec.structs import replace

from app.orders.tokens import JUP, SOL, USDC, USDT
from app.venues.pools.cpmm import CpmmPool
from app.venues.pools.quote import PoolQuote
from app.venues.routing.checker import InvalidPlan, check
from app.venues.routing.plan import Leg, Plan, PoolKind, RoutedPool
from app.venues.routing.solver import best_route
from tests.venues.routing.markets import a_market, a_pool, cpmm, worth

LEG_COST: Final = 1_000
POOLS: Final = (*a_market(Random(5)), a_pool(Random(6), (JUP, USDT), (PoolKind.CPMM, "raydium", cpmm)))
PLAN: Final = best_route(POOLS, SOL, USDC, worth(SOL, 3_000_000), leg_cost=LEG_COST)
DIRECT: Final = [place for place, leg in enumerate(PLAN.legs) if (leg.token_in, leg.token_out) == (SOL, USDC)]
FIRST_HOP: Final = next(place for place, leg in enumerate(PLAN.legs) if leg.token_out == USDT)
LAST_HOP: Final = next(place for place, leg in enumerate(PLAN.legs) if leg.token_in == USDT)
OTHER: Final = next(
    pool
    for pool in POOLS
    if pool.leads(SOL, USDC) and PLAN.best_single is not None and pool.id != PLAN.best_single.pool
)

Tampering = Callable[[Plan], Plan]


def with_leg(place: int, **changes: Any) -> Tampering:
    def tamper(plan: Plan) -> Plan:
        legs = [replace(leg, **changes) if place == at else leg for at, leg in enumerate(plan.legs)]
        return replace(plan, legs=tuple(legs))

    return tamper


def with_amount_of(place: int, more: int) -> Tampering:
    """A leg that is right in itself, for another amount."""

    def tamper(plan: Plan) -> Plan:
        quote = quoted(plan.legs[place], plan.legs[place].amount_in + more)
        return with_leg(
            place,
            amount_in=quote.amount_in,
            amount_out=quote.amount_out,
            fee_in=quote.fees_in.total,
            fee_out=quote.fees_out.total,
        )(plan)

    return tamper


def quoted(leg: Leg, amount: int) -> PoolQuote[Any]:
    pool = next(pool for pool in POOLS if pool.id == leg.pool)
    return pool.state.quote_exact_in(amount, pool.token_a == leg.token_in, pool.at)


def with_legs(arrange: Callable[[list[Leg]], list[Leg]]) -> Tampering:
    return lambda plan: replace(plan, legs=tuple(arrange(list(plan.legs))))


def with_single(**changes: Any) -> Tampering:
    def tamper(plan: Plan) -> Plan:
        assert plan.best_single is not None
        return replace(plan, best_single=replace(plan.best_single, **changes))

    return tamper


def last_hop_first(legs: list[Leg]) -> list[Leg]:
    return [legs[LAST_HOP], *(leg for at, leg in enumerate(legs) if at != LAST_HOP)]


def one_pool_twice(legs: list[Leg]) -> list[Leg]:
    """A leg cut in two, both quoted on the state that the pool is in before."""
    leg = legs[DIRECT[0]]
    first = leg.amount_in // 2
    halves = [
        replace(
            leg,
            amount_in=amount,
            amount_out=quote.amount_out,
            fee_in=quote.fees_in.total,
            fee_out=quote.fees_out.total,
        )
        for amount in (first, leg.amount_in - first)
        for quote in [quoted(leg, amount)]
    ]
    return [*legs[: DIRECT[0]], *halves, *legs[DIRECT[0] + 1 :]]


TAMPERINGS: Final[dict[str, tuple[Tampering, str]]] = {
    "one unit more out of a leg": (
        with_leg(DIRECT[0], amount_out=PLAN.legs[DIRECT[0]].amount_out + 1),
        "gives",
    ),
    "one unit less out of a leg": (
        with_leg(DIRECT[0], amount_out=PLAN.legs[DIRECT[0]].amount_out - 1),
        "gives",
    ),
    "one unit more into a leg": (
        with_leg(DIRECT[0], amount_in=PLAN.legs[DIRECT[0]].amount_in + 1),
        "unaccounted",
    ),
    "another fee": (with_leg(DIRECT[0], fee_in=PLAN.legs[DIRECT[0]].fee_in + 1), "gives"),
    "another fee of the output": (with_leg(DIRECT[0], fee_out=PLAN.legs[DIRECT[0]].fee_out + 1), "gives"),
    "another venue": (with_leg(DIRECT[0], venue="elsewhere"), "is not of elsewhere"),
    "an unknown pool": (with_leg(DIRECT[0], pool="nowhere"), "no pool nowhere"),
    "another pool": (with_leg(DIRECT[0], pool=PLAN.legs[DIRECT[1]].pool), "gives"),
    "the wrong way round": (with_leg(DIRECT[0], token_in=USDC, token_out=SOL), "sells what was bought"),
    "tokens that the pool does not have": (with_leg(DIRECT[0], token_out=JUP), "does not exchange"),
    "nothing through a leg": (
        with_leg(DIRECT[0], amount_in=0, amount_out=0, fee_in=0, fee_out=0),
        "nothing to do",
    ),
    "a first hop with a unit less": (with_amount_of(FIRST_HOP, -1), "unaccounted"),
    "a last hop with a unit less": (with_amount_of(LAST_HOP, -1), "unaccounted"),
    "a last hop with a unit more": (with_amount_of(LAST_HOP, 1), "unaccounted"),
    "parts that are too little": (with_amount_of(DIRECT[0], -1_000), "SOL are unaccounted"),
    "parts that are too much": (with_amount_of(DIRECT[0], 1_000), "SOL are unaccounted"),
    "a leg left out": (
        with_legs(lambda legs: [leg for at, leg in enumerate(legs) if at != DIRECT[0]]),
        "unaccounted",
    ),
    "a leg that nobody needs": (with_legs(lambda legs: [*legs, legs[DIRECT[0]]]), "two legs"),
    "sold before it is bought": (with_legs(last_hop_first), "has been sold before"),
    "one pool twice": (with_legs(one_pool_twice), "two legs"),
    "no legs": (lambda plan: replace(plan, legs=()), "unaccounted"),
    "a larger amount": (lambda plan: replace(plan, amount_in=plan.amount_in + 1), "SOL are unaccounted"),
    "a larger output": (lambda plan: replace(plan, amount_out=plan.amount_out + 1), "USDC are unaccounted"),
    "cheaper legs": (lambda plan: replace(plan, cost=plan.cost - 1), "The cost"),
    "no single pool": (lambda plan: replace(plan, best_single=None), "could have taken it all"),
    "a single pool that gives less": (with_single(amount_out=1), "best single pool gives"),
    "a single pool that is not the best": (
        with_single(pool=OTHER.id, venue=OTHER.venue),
        "best single pool gives",
    ),
    "a single pool of another venue": (with_single(venue="elsewhere"), "is not of elsewhere"),
}


def test_the_plan_that_is_tampered_with_is_right_and_has_every_kind_of_leg() -> None:
    check(PLAN, POOLS, LEG_COST)
    assert len(DIRECT) > 1


@pytest.mark.parametrize(("tampering", "reason"), TAMPERINGS.values(), ids=list(TAMPERINGS))
def test_a_plan_that_was_tampered_with_is_rejected(tampering: Tampering, reason: str) -> None:
    with pytest.raises(InvalidPlan, match=reason):
        check(tampering(PLAN), POOLS, LEG_COST)


def test_another_cost_of_legs_is_noticed() -> None:
    with pytest.raises(InvalidPlan, match="cost"):
        check(PLAN, POOLS, LEG_COST + 1)


def test_a_detour_over_three_hops_is_no_route() -> None:
    sides = ((SOL, USDT), (USDT, JUP), (JUP, USDC))
    state = CpmmPool(10**12, 10**12, 2_500, 120_000, 40_000)
    pools = [RoutedPool(str(at), "raydium", PoolKind.CPMM, *pair, state) for at, pair in enumerate(sides)]
    legs, amount = [], 10**9
    for pool in pools:
        quote = state.quote_exact_in(amount, a_to_b=True)
        legs.append(
            Leg(
                pool.id,
                pool.venue,
                pool.token_a,
                pool.token_b,
                amount,
                quote.amount_out,
                quote.fees_in.total,
                0,
            )
        )
        amount = quote.amount_out
    with pytest.raises(InvalidPlan, match="neither a first hop nor a last"):
        check(Plan(SOL, USDC, 10**9, amount, 0, tuple(legs), None), pools, leg_cost=0)


def test_a_split_that_is_worth_less_than_a_single_pool_is_rejected() -> None:
    deep = RoutedPool("deep", "raydium", PoolKind.CPMM, SOL, USDC, CpmmPool(10**14, 10**14, 2_500, 0, 0))
    flat = RoutedPool("flat", "raydium", PoolKind.CPMM, SOL, USDC, CpmmPool(10**6, 10**6, 2_500, 0, 0))
    single = best_route([deep], SOL, USDC, 10**9, leg_cost=0)
    legs = [best_route([pool], SOL, USDC, 5 * 10**8, leg_cost=0).legs[0] for pool in (deep, flat)]
    split = replace(single, legs=tuple(legs), amount_out=sum(leg.amount_out for leg in legs))
    with pytest.raises(InvalidPlan, match="would have been better"):
        check(split, [deep, flat], leg_cost=0)

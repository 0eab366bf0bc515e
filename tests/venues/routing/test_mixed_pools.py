"""Pools of every kind: a split is as good as the best point of a fine grid, and no pool alone is better."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import combinations, pairwise
from random import Random
from typing import Final

import pytest

from app.errors import Unfillable
from app.orders.tokens import JUP, SOL, USDC, USDT, Token
from app.venues.pools.quote import PoolError
from app.venues.routing.checker import check
from app.venues.routing.plan import Plan, RoutedPool
from app.venues.routing.solver import best_route
from tests.venues.routing.markets import MAKERS, a_market, a_pool, a_sale, six_pools, worth

STEPS: Final = 100  # of a grid, and so much finer is the next one around its best point
CLOSE: Final = 1e-8
ROUNDING: Final = 2


def output(pool: RoutedPool, token_in: Token, amount: int) -> int:
    """Less than any other where the pool cannot take the amount."""
    if not amount:
        return 0
    try:
        return pool.state.amount_out(amount, pool.token_a == token_in, pool.at)
    except PoolError:
        return -(10**30)


def best_of_grid(one: RoutedPool, other: RoutedPool, token_in: Token, amount: int, leg_cost: int) -> int:
    """The most that two pools give for an amount, as far as grids around the best point show."""

    def net(part: int) -> int:
        both = leg_cost if 0 < part < amount else 0
        return output(one, token_in, part) + output(other, token_in, amount - part) - both

    low, high, best = 0, amount, max(net(0), net(amount))
    while high > low:
        step = max(1, (high - low) // STEPS)
        points = [*range(low, high, step), high]
        middle = max(points, key=net)
        best = max(best, net(middle))
        if step == 1:
            break
        low, high = max(0, middle - 2 * step), min(amount, middle + 2 * step)
    return best


def assert_close(plan: Plan, best: int) -> None:
    assert plan.net_out >= best - max(ROUNDING, CLOSE * best)


@pytest.mark.parametrize("first", MAKERS, ids=lambda maker: maker[2].__name__)
@pytest.mark.parametrize("second", MAKERS, ids=lambda maker: maker[2].__name__)
def test_two_pools_are_split_as_a_fine_grid_would(first: tuple, second: tuple) -> None:  # type: ignore[type-arg]
    random = Random(f"{first[2].__name__} {second[2].__name__}")
    for _ in range(6):
        one, other = (a_pool(random, (SOL, USDC), maker) for maker in (first, second))
        token_in, token_out, amount = a_sale(random, usd_from=1)
        leg_cost = random.choice([0, worth(token_out, 0.001), worth(token_out, 1)])
        best = best_of_grid(one, other, token_in, amount, leg_cost)
        if best > 0:
            plan = best_route([one, other], token_in, token_out, amount, leg_cost=leg_cost)
            assert_close(plan, best)


@pytest.mark.parametrize("seed", range(25))
def test_no_two_pools_of_a_plan_over_six_would_share_better(seed: int) -> None:
    random = Random(seed)
    pools = six_pools(random)
    token_in, token_out, amount = a_sale(random, usd_from=3, usd_to=7)
    plan = best_route(pools, token_in, token_out, amount, leg_cost=0)
    parts = {leg.pool: leg for leg in plan.legs}
    for place, one in enumerate(pools):
        for other in pools[:place]:
            shared = [parts[pool.id] for pool in (one, other) if pool.id in parts]
            if shared:
                best = best_of_grid(one, other, token_in, sum(leg.amount_in for leg in shared), 0)
                assert_close(plan, plan.net_out - sum(leg.amount_out for leg in shared) + best)


@pytest.mark.parametrize("seed", range(40))
def test_no_other_choice_of_pools_is_worth_more(seed: int) -> None:
    random = Random(seed)
    pools = six_pools(random)
    amount = worth(SOL, 10 ** random.uniform(3, 6))
    leg_cost = worth(USDC, 10 ** random.uniform(-1, 1.5))
    plan = best_route(pools, SOL, USDC, amount, leg_cost=leg_cost)
    for size in range(1, len(pools)):
        for some in combinations(pools, size):
            with suppress(Unfillable):
                assert_close(plan, best_route(some, SOL, USDC, amount, leg_cost=leg_cost).net_out)


@pytest.mark.parametrize("seed", range(25))
def test_a_way_over_two_pools_gets_its_share_as_on_a_fine_grid(seed: int) -> None:
    random = Random(seed)
    direct, first, second = (
        a_pool(random, pair, random.choice(MAKERS)) for pair in ((SOL, USDC), (SOL, USDT), (USDT, USDC))
    )
    amount = worth(SOL, 10 ** random.uniform(2, 7))

    def net(part: int) -> int:
        received = output(first, SOL, part)
        over = output(second, USDT, received) if received >= 0 else received
        return over + output(direct, SOL, amount - part)

    best = max(net(amount * point // 2_000) for point in range(2_001))
    if best > 0:
        assert_close(best_route([direct, first, second], SOL, USDC, amount, leg_cost=0), best)


@pytest.mark.parametrize("seed", range(60))
def test_every_plan_passes_the_checker(seed: int) -> None:
    random = Random(seed)
    pools = a_market(random)
    token_in, token_out, amount = a_sale(random)
    leg_cost = random.choice([0, worth(token_out, 0.001), worth(token_out, 5)])
    plan = best_route(pools, token_in, token_out, amount, leg_cost=leg_cost)
    check(plan, pools, leg_cost)
    assert plan.saving >= 0


# The last ones had a leg that did not earn its cost, or another pool in the place of a better one.
@pytest.mark.parametrize(
    "seed", [*range(60), 10235, 10302, 10316, 10509, 10534, 20235, 20376, 20731, 21016, 21541, 21770]
)
def test_no_plan_is_worth_more_with_a_pool_less(seed: int) -> None:
    random = Random(seed)
    pools = a_market(random)
    for usd_to in (6, 7):
        token_in, token_out, amount = a_sale(random, usd_to=usd_to)
        for leg_cost in (0, 10_000, 606_060, worth(token_out, 0.05), worth(token_out, 5)):
            plan = best_route(pools, token_in, token_out, amount, leg_cost=leg_cost)
            for leg in plan.legs:
                with suppress(Unfillable):
                    others = [pool for pool in pools if pool.id != leg.pool]
                    less = best_route(others, token_in, token_out, amount, leg_cost=leg_cost)
                    assert_close(plan, less.net_out)


@pytest.mark.parametrize("seed", range(20))
def test_more_is_never_worth_less(seed: int) -> None:
    random = Random(seed)
    pools = a_market(random)
    token_in, token_out, amount = a_sale(random, usd_to=5)
    leg_cost = random.choice([0, worth(token_out, 0.01)])
    amounts = [amount, amount + 1, amount + amount // 1_000_000, amount + amount // 100, 2 * amount]
    plans = [best_route(pools, token_in, token_out, each, leg_cost=leg_cost) for each in amounts]
    for less, more in pairwise(plans):
        assert more.net_out >= less.net_out - ROUNDING


def test_a_leg_that_costs_more_than_it_brings_is_left_out() -> None:
    pools = six_pools(Random(1))
    plans = [
        best_route(pools, SOL, USDC, worth(SOL, 300_000), leg_cost=worth(USDC, usd)) for usd in (0, 5, 10**6)
    ]
    legs = [len(plan.legs) for plan in plans]
    assert legs == sorted(legs, reverse=True)
    assert legs[0] > legs[1] > legs[2] == 1
    assert plans[0].saving > plans[1].saving > plans[2].saving == 0


def test_a_token_between_is_traded_where_no_pool_leads_there_directly() -> None:
    random = Random(2)
    pools = [a_pool(random, pair, MAKERS[0]) for pair in ((JUP, USDC), (SOL, USDC))]
    plan = best_route(pools, JUP, SOL, worth(JUP, 1_000), leg_cost=1)
    assert [(leg.token_in, leg.token_out) for leg in plan.legs] == [(JUP, USDC), (USDC, SOL)]
    assert plan.best_single is None
    assert plan.saving == 0
    check(plan, pools, leg_cost=1)


@pytest.mark.parametrize(
    ("pair", "amount"), [((SOL, JUP), 10**9), ((SOL, SOL), 10**9), ((SOL, USDC), 0), ((SOL, USDC), 10**40)]
)
def test_what_no_route_takes_is_unfillable(pair: tuple[Token, Token], amount: int) -> None:
    pools: Sequence[RoutedPool] = [a_pool(Random(3), (SOL, USDC), maker) for maker in MAKERS[2:5]]
    with pytest.raises(Unfillable):
        best_route(pools, *pair, amount, leg_cost=0)

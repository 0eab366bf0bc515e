"""5,000 markets so small that every split can be tried: the solver is as good, to the rounding."""

from __future__ import annotations

from random import Random
from typing import Final

import pytest

from app.errors import Unfillable
from app.orders.tokens import SOL, USDC, USDT, Token
from app.venues.routing.checker import check
from app.venues.routing.plan import RoutedPool
from app.venues.routing.solver import best_route
from tests.venues.routing.exhaustive import most_worth
from tests.venues.routing.markets import a_small_pool

ROUNDING: Final = 2  # base units
CHUNK: Final = 250
DIRECT: Final = ((SOL, USDC), (USDC, SOL))
OVER_USDT: Final = ((SOL, USDT), (USDT, SOL), (USDT, USDC), (USDC, USDT))


def a_leg_cost(random: Random) -> int:
    return random.choice([0, 0, 1, 3, 10, random.randint(0, 100)])


def shortfall(pools: list[RoutedPool], amount: int, leg_cost: int) -> int:
    """How much better than the solver's the best route is; where a route is worth something, the solver has one."""
    best = most_worth(pools, SOL, USDC, amount, leg_cost)
    try:
        plan = best_route(pools, SOL, USDC, amount, leg_cost=leg_cost)
    except Unfillable:
        return max(best, 0)
    check(plan, pools, leg_cost)
    return best - plan.net_out


def a_market(random: Random, pairs: tuple[tuple[Token, Token], ...], most: int) -> list[RoutedPool]:
    return [a_small_pool(random, random.choice(pairs)) for _ in range(random.randint(2, most))]


@pytest.mark.parametrize("chunk", range(16))
def test_a_split_over_small_pools_is_as_good_as_the_best_there_is(chunk: int) -> None:
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        random = Random(seed)
        pools = a_market(random, DIRECT, most=4)
        amount = random.randint(1, random.choice([20, 60, 150]))
        assert 0 <= shortfall(pools, amount, a_leg_cost(random)) <= ROUNDING, f"seed {seed}"


@pytest.mark.parametrize("chunk", range(4))
def test_so_is_a_route_of_one_hop_and_two(chunk: int) -> None:
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        random = Random(seed)
        pools = a_market(random, DIRECT + OVER_USDT, most=5)
        amount = random.randint(1, random.choice([20, 40, 60]))
        assert 0 <= shortfall(pools, amount, a_leg_cost(random)) <= ROUNDING, f"seed {seed}"


@pytest.mark.parametrize("seed", range(12))
def test_so_is_a_split_whose_fees_are_rounded_up_many_times(seed: int) -> None:
    random = Random(seed)
    pools = a_market(random, DIRECT, most=2)
    assert 0 <= shortfall(pools, random.randint(500, 1_500), a_leg_cost(random)) <= ROUNDING

"""The best route over small pools, by looking at every way to split the amount."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from app.orders.tokens import TOKENS, Token
from app.venues.pools.quote import PoolError
from app.venues.routing.plan import RoutedPool
from tests.venues.routing.markets import pools_of

NOTHING: Final = -(10**30)

Table: TypeAlias = list[int]  # the best output for every input


def most_worth(
    pools: Sequence[RoutedPool], token_in: Token, token_out: Token, amount: int, leg_cost: int
) -> int:
    """The output net of legs' cost of the best route there is; below zero where no route takes the amount."""
    tables = [_net(_by_legs(pools_of(pools, token_in, token_out), token_in, amount), leg_cost, amount)]
    for token in TOKENS:
        firsts, seconds = pools_of(pools, token_in, token), pools_of(pools, token, token_out)
        if firsts and seconds and token not in {token_in, token_out}:
            tables.append(_by_two_hops(firsts, seconds, (token_in, token), amount, leg_cost))
    best = [0] + [NOTHING] * amount
    for table in tables:
        best = [
            max(best[total - part] + table[part] for part in range(total + 1)) for total in range(amount + 1)
        ]
    return best[amount] + leg_cost


def _by_two_hops(
    firsts: Sequence[RoutedPool],
    seconds: Sequence[RoutedPool],
    tokens: tuple[Token, Token],
    amount: int,
    leg_cost: int,
) -> Table:
    received = _by_legs(firsts, tokens[0], amount)
    sold = _by_legs(seconds, tokens[1], max(max(table) for table in received.values()))
    best = [0] + [NOTHING] * amount
    for first_legs, first in received.items():
        for second_legs, second in sold.items():
            if first_legs and second_legs:
                for part in range(1, amount + 1):
                    if first[part] > 0:
                        net = second[first[part]] - leg_cost * (first_legs + second_legs)
                        best[part] = max(best[part], net)
    return best


def _net(by_legs: dict[int, Table], leg_cost: int, amount: int) -> Table:
    return [
        max(table[part] - leg_cost * legs for legs, table in by_legs.items()) for part in range(amount + 1)
    ]


def _by_legs(pools: Sequence[RoutedPool], token_in: Token, amount: int) -> dict[int, Table]:
    """For every number of legs, the best output of all inputs up to the amount."""
    found: dict[int, Table] = {0: [0] + [NOTHING] * amount}
    for pool in pools:
        alone = _table(pool, token_in, amount)
        for legs, table in sorted(found.items(), reverse=True):
            more = [
                max((table[total - part] + alone[part] for part in range(1, total + 1)), default=NOTHING)
                for total in range(amount + 1)
            ]
            other = found.get(legs + 1, more)
            found[legs + 1] = [max(pair) for pair in zip(other, more, strict=True)]
    return found


def _table(pool: RoutedPool, token_in: Token, amount: int) -> Table:
    return [0] + [_output(pool, token_in, part) or NOTHING for part in range(1, amount + 1)]


def _output(pool: RoutedPool, token_in: Token, amount: int) -> int:
    try:
        return pool.state.amount_out(amount, pool.token_a == token_in, pool.at)
    except PoolError:
        return 0

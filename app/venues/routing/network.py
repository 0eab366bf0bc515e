"""The pools between two tokens, and the best split over any of them if amounts could be divided without end."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from math import sqrt
from typing import Final, TypeAlias

import msgspec

from app.orders.tokens import Token
from app.venues.pools.quote import PoolError
from app.venues.routing.curve import Curve, parallel, series, split
from app.venues.routing.plan import RoutedPool
from app.venues.routing.profiles import input_fee_rate, profile

UNABLE: Final = -1

Prices: TypeAlias = dict[Token, float]  # of a base unit, in base units of the token bought


class Way:
    """A pool in the direction that leads from the token sold to the token bought; what it gives is asked once."""

    __slots__ = ("_known", "a_to_b", "curve", "fee_rate", "pool", "token_in", "token_out")

    def __init__(self, pool: RoutedPool, token_in: Token, most: int, margin: float) -> None:
        self.pool = pool
        self.token_in = token_in
        self.a_to_b = pool.token_a == token_in
        self.token_out = pool.token_b if self.a_to_b else pool.token_a
        self.curve = _with_room(profile(pool.state, self.a_to_b, pool.at, most), most, margin)
        self.fee_rate = input_fee_rate(pool.state, self.a_to_b, pool.at)
        self._known: dict[int, int] = {0: 0}

    def amount_out(self, amount_in: int) -> int:
        """To the last base unit; UNABLE where the pool cannot take the amount."""
        known = self._known.get(amount_in)
        if known is None:
            try:
                known = self.pool.state.amount_out(amount_in, self.a_to_b, self.pool.at)
            except PoolError:
                known = UNABLE
            self._known[amount_in] = known
        return known

    def profit(self, prices: Prices) -> float:
        """The most that trading here at these prices can earn, in base units of the token bought."""
        price_in, price_out = prices[self.token_in], prices[self.token_out]
        taken = self.curve.input_at(sqrt(price_out / price_in))
        return price_out * self.curve.output(taken) - price_in * taken


class Flow(msgspec.Struct, frozen=True):
    """A split: the input of each way that is used, the output, and what a base unit of each token is worth there.

    A token in between is worth what its buyers would pay for one more, or what its sellers would want: the same, but
    where either stand at a corner of their curve.
    """

    inputs: dict[Way, float]
    output: float
    prices: tuple[Prices, Prices]


class Network:
    """All ways of one hop or two. Each pool is in one of them at most: from the token sold, or to the token bought."""

    def __init__(
        self, pools: Iterable[RoutedPool], token_in: Token, token_out: Token, amount_in: int, margin: float
    ) -> None:
        self.token_in, self.token_out, self.amount_in = token_in, token_out, amount_in
        pools = tuple(pools)
        self.direct = _ways(pools, token_in, token_out, amount_in, margin)
        self.between: dict[Token, tuple[list[Way], list[Way]]] = {}
        for token in _between(pools, token_in, token_out):
            firsts = _ways(pools, token_in, token, amount_in, margin)
            most = sum(way.curve.output(way.curve.capacity) for way in firsts)
            seconds = _ways(pools, token, token_out, int(most) + 1, margin)
            if firsts and seconds:
                self.between[token] = firsts, seconds
        two_hops = [way for firsts, seconds in self.between.values() for way in (*firsts, *seconds)]
        self.ways = [*self.direct, *two_hops]

    def best_flow(self, chosen: Collection[Way]) -> Flow | None:
        """The split over these ways that gives the most; None where they cannot take the whole amount."""
        direct = [way for way in self.direct if way in chosen]
        stages = self._stages(chosen)
        curves = [way.curve for way in direct]
        curves += [series(_together(firsts), _together(seconds)) for firsts, seconds in stages]
        if sum(curve.capacity for curve in curves) < self.amount_in * (1 - 1e-12):
            return None
        s, parts = split(curves, self.amount_in)
        price_in = 1 / (s * s)
        bid, asked = self._prices(price_in), self._prices(price_in)
        inputs = {way: part for way, part in zip(direct, parts, strict=False) if part > 0}
        for (firsts, seconds), part in zip(stages, parts[len(direct) :], strict=True):
            if part > 0:
                token = seconds[0].token_in
                at, received = _divide(firsts, part, inputs)
                asked[token] = price_in * at * at
                at, _ = _divide(seconds, received, inputs)
                bid[token] = 1 / (at * at)
        output = sum(
            way.curve.output(part) for way, part in inputs.items() if way.token_out == self.token_out
        )
        return Flow(inputs, output, (bid, asked))

    def usable(self, chosen: Collection[Way]) -> frozenset[Way]:
        """Of these ways those that lead anywhere: a hop over another token needs the one before it, or after it."""
        two_hops = (way for stage in self._stages(chosen) for ways in stage for way in ways)
        return frozenset((*(way for way in self.direct if way in chosen), *two_hops))

    def _stages(self, chosen: Collection[Way]) -> list[tuple[list[Way], list[Way]]]:
        stages = [
            ([way for way in firsts if way in chosen], [way for way in seconds if way in chosen])
            for firsts, seconds in self.between.values()
        ]
        return [(firsts, seconds) for firsts, seconds in stages if firsts and seconds]

    def _prices(self, price_in: float) -> Prices:
        """Where nothing is traded, a token in between is worth what its first base unit would bring."""
        prices = {self.token_in: price_in, self.token_out: 1.0}
        for token, (_, seconds) in self.between.items():
            prices[token] = 1 / min(way.curve.starts[0] for way in seconds) ** 2
        return prices


def _with_room(curve: Curve, most: int, margin: float) -> Curve:
    """Where the amount could exhaust a pool, what others may take before it is left to them."""
    if not margin or not curve.pieces or curve.capacity >= most:
        return curve
    return curve.up_to(curve.capacity - curve.input_at(curve.starts[0] * sqrt(1 + margin)))


def _ways(
    pools: Sequence[RoutedPool], token_in: Token, token_out: Token, most: int, margin: float
) -> list[Way]:
    if most < 1:
        return []
    ways = [Way(pool, token_in, most, margin) for pool in pools if pool.leads(token_in, token_out)]
    return [way for way in ways if way.curve.pieces]


def _between(pools: Sequence[RoutedPool], token_in: Token, token_out: Token) -> list[Token]:
    ends = (token_in, token_out)
    tokens = {
        token: None for pool in pools for token in (pool.token_a, pool.token_b)
    }  # in the pools' own order
    return [token for token in tokens if token not in ends]


def _together(ways: Sequence[Way]) -> Curve:
    return parallel([way.curve for way in ways])


def _divide(ways: Sequence[Way], amount: float, inputs: dict[Way, float]) -> tuple[float, float]:
    """Notes each way's part of the amount; answers the s where they meet, and what they give together."""
    s, parts = split([way.curve for way in ways], amount)
    given = 0.0
    for way, part in zip(ways, parts, strict=True):
        if part > 0:
            inputs[way] = part
            given += way.curve.output(part)
    return s, given

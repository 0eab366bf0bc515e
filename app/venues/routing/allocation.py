"""A split in whole base units: parts that add up exactly, improved until no small exchange between two pools helps.

Fees are rounded up and outputs down, so that the split of real numbers is off by about a base unit of each token per
leg. One leg of every group that shares an input takes what the others leave: sums are exact by construction.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, floor
from typing import Final, TypeAlias

from app.orders.tokens import Token
from app.venues.routing.network import UNABLE, Network, Way
from app.venues.routing.selection import Candidate

_SMALL: Final = 64  # base units that two legs share, up to which every split of them is tried
_NEAR: Final = (-3, -2, -1, 1, 2, 3)
_ROUNDS: Final = 6  # of exchanges; where amounts are small, two or three are enough
_FULL: Final = 1 - 1e-12
_NEGLIGIBLE: Final = 1e-9  # of the output

IMPOSSIBLE: Final = float("-inf")

Amounts: TypeAlias = dict[Way, int]


class Group:
    """The legs that sell one token; `rest` sells what the free ones leave."""

    __slots__ = ("free", "rest", "token")

    def __init__(self, token: Token, inputs: dict[Way, float]) -> None:
        ways = [way for way in inputs if way.token_in == token]
        self.token = token
        # Of those that can take a few base units more, the largest.
        self.rest = max(ways, key=lambda way: (inputs[way] < way.curve.capacity * _FULL, inputs[way]))
        self.free = [way for way in ways if way is not self.rest]


class Allocation:
    """Whole amounts for the legs of a candidate."""

    def __init__(self, network: Network, candidate: Candidate, leg_cost: int) -> None:
        self._network = network
        self._leg_cost = leg_cost
        inputs = candidate.flow.inputs
        self._counts = candidate.rounding >= _NEGLIGIBLE * candidate.net
        if self._counts and leg_cost < candidate.rounding:
            # What is less than a base unit's worth to one pool may buy a whole one from another.
            inputs = {way: inputs.get(way, 0.0) for way in network.ways}
        tokens = dict.fromkeys(way.token_in for way in inputs)
        first = network.token_in
        self._groups = [
            Group(token, inputs) for token in sorted(tokens, key=lambda token: token is not first)
        ]
        self._chosen = self._rounded(inputs)
        self.worth = self._worth(self._chosen)  # a whole number, or IMPOSSIBLE

    @property
    def amounts(self) -> Amounts:
        """What each leg sells, in an order in which the legs can be executed."""
        return {way: amount for way, amount in self._complete(self._chosen).items() if amount}

    def improve(self) -> None:
        """Exchanges base units between two legs as long as that helps, where rounding counts at all."""
        if not self._counts and self.worth > IMPOSSIBLE:
            return
        for _ in range(_ROUNDS):
            helped = [self._improve(group, way) for group in self._groups for way in group.free]
            if not any(helped):
                return

    def _rounded(self, inputs: dict[Way, float]) -> Amounts:
        """Parts floored, in proportion to what there really is of a token in between."""
        held: dict[Token, int] = {self._network.token_in: self._network.amount_in}
        rounded: Amounts = {}
        for group in self._groups:
            ways = (*group.free, group.rest)
            left, whole = held.get(group.token, 0), sum(inputs[way] for way in ways)
            share = left / whole if whole else 0.0
            for way in group.free:
                rounded[way] = int(inputs[way] * share)
                left -= rounded[way]
            for way in ways:
                given = way.amount_out(left if way is group.rest else rounded[way])
                held[way.token_out] = held.get(way.token_out, 0) + max(given, 0)
        return rounded

    def _improve(self, group: Group, way: Way) -> bool:
        complete, improved = self._complete(self._chosen), False
        for amount in _steps(way, complete[way], group.rest, complete[group.rest]):
            chosen = self._chosen | {way: amount}
            worth = self._worth(chosen)
            if worth > self.worth:
                self._chosen, self.worth, improved = chosen, worth, True
        return improved

    def _worth(self, chosen: Amounts) -> float:
        """The output net of the legs' cost; less than any other where a pool cannot take its part."""
        bought, out, extra_legs = self._network.token_out, 0, -1
        for way, amount in self._complete(chosen).items():
            if amount:
                given = way.amount_out(amount) if amount > 0 else UNABLE
                if given <= 0:
                    return IMPOSSIBLE
                extra_legs += 1
                if way.token_out is bought:
                    out += given
        return out - self._leg_cost * extra_legs

    def _complete(self, chosen: Amounts) -> Amounts:
        """With what is left for the last leg of each group, below zero where the others want too much."""
        held = {self._network.token_in: self._network.amount_in}
        complete: Amounts = {}
        for group in self._groups:
            left = held.get(group.token, 0)
            for way in group.free:
                complete[way] = chosen[way]
                left -= chosen[way]
            complete[group.rest] = left
            for way in (*group.free, group.rest):
                bought = way.token_out
                held[bought] = held.get(bought, 0) + way.amount_out(complete[way])
        return complete


def _steps(way: Way, amount: int, rest: Way, left: int) -> Iterator[int]:
    """Other amounts for a way that may do better, `rest` taking the difference from what it has left."""
    together = amount + left
    if together <= _SMALL:
        yield from range(together + 1)
        return
    yield from (near for near in (amount + step for step in _NEAR) if 0 <= near <= together)
    yield from (edge for edge in _fee_edges(way, amount) if 0 <= edge <= together)
    yield from (together - edge for edge in _fee_edges(rest, left) if 0 <= edge <= together)


def _fee_edges(way: Way, amount: int) -> tuple[int, ...]:
    """The nearest amounts that get the most for a fee that is rounded up."""
    rate = way.fee_rate
    if not rate:
        return ()
    fee = ceil(amount * rate)
    return floor((fee - 1) / rate), floor(fee / rate)

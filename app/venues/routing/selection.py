"""Which pools a route uses, when every leg beyond the first costs something.

At given prices of the tokens, no route is worth more than the amount at its price, and for each pool what it can earn
at these prices less the cost of its leg, if that is positive: the Lagrangian dual of the problem. What a set of pools
falls short of this bound is at least what it leaves out of that, and what it includes at a loss. So a pool whose
earnings are further from its cost than the bound is from the best set known is decided. Of the others the combinations
are tried whose distances add up to no more than that, the likely ones first, and what is found makes it less.

Source of the dual: Diamandis, Resnick, Chitra, Angeris, An Efficient Algorithm for Optimal Routing Through Constant
Function Market Makers (2023), section 3; fixing by reduced cost is textbook (Wolsey, Integer Programming, 7.4).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from heapq import heappop, heappush
from typing import Final

import msgspec

from app.venues.routing.network import Flow, Network, Prices, Way

_LOOKS: Final = (
    200  # sets that are looked at before what has been found is taken: one market in thousands needs more
)


class Candidate(msgspec.Struct, frozen=True):
    """A set of pools, what it gives net of its legs' cost, and about how much of that rounding can take or give."""

    flow: Flow
    net: float
    rounding: float


class Selection:
    """The sets of pools that were looked at, by what they use."""

    def __init__(self, network: Network, leg_cost: int) -> None:
        self._network = network
        self._leg_cost = leg_cost
        self._seen: dict[frozenset[Way], Candidate] = {}
        self._bound = float("inf")  # no route is worth more, but for rounding
        self._margins: dict[
            Way, float
        ] = {}  # at the prices that give the bound: earnings less the leg's cost

    def candidates(self) -> list[Candidate]:
        """Those that rounding could make the best, the best first; none where the amount cannot be filled."""
        self._shrink()
        if self._seen:
            self._combine()
        found = sorted(self._seen.values(), key=lambda candidate: -candidate.net)
        return [each for each in found if each.net + each.rounding >= found[0].net - found[0].rounding]

    def _shrink(self) -> None:
        """From all pools to fewer, as long as one does not earn its leg's cost."""
        chosen: Collection[Way] = self._network.ways
        while (candidate := self._look_at(chosen)) is not None:
            flow = candidate.flow
            for prices in flow.prices:
                margins = {way: way.profit(prices) - self._leg_cost for way in self._network.ways}
                self._tighten(prices, margins)
            worst = min(flow.inputs, key=margins.__getitem__)
            if len(flow.inputs) == 1 or margins[worst] >= 0:
                return
            chosen = flow.inputs.keys() - {worst}

    def _tighten(self, prices: Prices, margins: dict[Way, float]) -> None:
        earning = [margin for margin in margins.values() if margin > 0]
        bound = prices[self._network.token_in] * self._network.amount_in + self._leg_cost + sum(earning)
        if bound < self._bound:
            self._bound, self._margins = bound, margins

    def _combine(self) -> None:
        """Looks at every set that could be better, the likely ones first."""
        best = max(self._seen.values(), key=lambda candidate: candidate.net)
        usual = {way for way, margin in self._margins.items() if margin > 0}
        tried = set(self._seen)
        undecided = self._undecided(best)
        for missed, turned in _by_sum([abs(self._margins[way]) for way in undecided]):
            if missed > self._bound - best.net + best.rounding or len(tried) > _LOOKS:
                return
            chosen = self._network.usable(usual.symmetric_difference(undecided[i] for i in turned))
            if chosen not in tried:
                tried.add(chosen)
                found = self._look_at(chosen)
                if found is not None and found.net > best.net:
                    best = found

    def _undecided(self, best: Candidate) -> list[Way]:
        """Those that could be turned in a better set, the likely ones first."""
        gap = self._bound - best.net + best.rounding
        near = [way for way in self._network.ways if abs(self._margins[way]) <= gap]
        # Where a leg costs nothing, a pool that earns nothing is left out by the split itself.
        near = [way for way in near if self._margins[way] > 0 or self._leg_cost > 0]
        return sorted(near, key=lambda way: abs(self._margins[way]))

    def _look_at(self, chosen: Collection[Way]) -> Candidate | None:
        flow = self._network.best_flow(chosen)
        if flow is None:
            return None
        prices, _ = flow.prices
        rounding = sum(prices[way.token_in] + prices[way.token_out] for way in flow.inputs)
        net = flow.output - self._leg_cost * (len(flow.inputs) - 1)
        candidate = Candidate(flow, net, rounding)
        return self._seen.setdefault(frozenset(flow.inputs), candidate)


def _by_sum(numbers: Sequence[float]) -> Iterator[tuple[float, tuple[int, ...]]]:
    """All sets of places, with the sum of the numbers there, which rise from place to place; the least sum first."""
    heap: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    while heap:
        total, places = heappop(heap)
        yield total, places
        onward = places[-1] + 1 if places else 0
        if onward < len(numbers):
            heappush(heap, (total + numbers[onward], (*places, onward)))
            if places:
                heappush(heap, (total - numbers[places[-1]] + numbers[onward], (*places[:-1], onward)))

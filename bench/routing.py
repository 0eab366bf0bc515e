"""How long the best route over six pools takes, splits included: milliseconds, by the wall's clock and the processor's.

Run it from the repository's root: .venv/bin/python -m bench.routing

The markets are those of the tests, one pool of every kind: sales of 1 USD to a million, with and without a cost of
legs, each asked once per run, as a quote is. The figures are of single calls, nothing taken out. The best run is that
with the lowest p99: on a machine that does other work, the nearest to what a call takes. Processor time leaves out what
others took.
"""

from __future__ import annotations

import gc
import statistics
import sys
from collections import Counter
from collections.abc import Callable
from random import Random
from time import perf_counter_ns, thread_time_ns
from typing import Final

import msgspec

from app.errors import Unfillable
from app.orders.tokens import Token
from app.venues.routing.plan import RoutedPool
from app.venues.routing.solver import best_route
from tests.venues.routing.markets import a_market, a_sale, six_pools, worth

SALES: Final = 500
RUNS: Final = 7
TARGET_MS: Final = 5.0


class Sale(msgspec.Struct, frozen=True):
    pools: list[RoutedPool]
    token_in: Token
    token_out: Token
    amount: int
    leg_cost: int


def sales(*, two_hops: bool) -> list[Sale]:
    """Of six pools between the two tokens; or of these, four more over USDT, and two that lead nowhere."""
    found = []
    for seed in range(SALES):
        random = Random(seed)
        pools = a_market(random) if two_hops else six_pools(random)
        token_in, token_out, amount = a_sale(random)
        found.append(Sale(pools, token_in, token_out, amount, random.choice([0, worth(token_out, 0.001)])))
    return found


def run(asked: list[Sale], clock: Callable[[], int], legs: Counter[int]) -> list[float]:
    """Milliseconds of each sale; notes the legs of its plan."""
    times = []
    for sale in asked:
        begun = clock()
        try:
            plan = best_route(sale.pools, sale.token_in, sale.token_out, sale.amount, leg_cost=sale.leg_cost)
        except Unfillable:
            continue
        times.append((clock() - begun) / 1e6)
        legs[len(plan.legs)] += 1
    return times


def main() -> int:
    print(f"CPython {sys.version.split()[0]}, {SALES} sales, {RUNS} runs; target {TARGET_MS:g} ms at p99\n")
    print(f"{'ms a route; run':37}{'p50':>8}{'mean':>8}{'p99':>8}{'max':>8}")
    met = True
    for name, two_hops in (("six pools", False), ("twelve, two hops", True)):
        asked = sales(two_hops=two_hops)
        gc.collect()
        gc.freeze()
        for clock in (perf_counter_ns, thread_time_ns):
            legs: Counter[int] = Counter()
            runs = sorted((figures(run(asked, clock, legs)) for _ in range(RUNS)), key=lambda each: each[2])
            of = "wall" if clock is perf_counter_ns else "processor"
            for label, shown in (("best", runs[0]), ("median", runs[RUNS // 2])):
                print(f"{name:18}{of:11}{label:8}" + "".join(f"{figure:8.2f}" for figure in shown))
            met = met and (two_hops or runs[0][2] <= TARGET_MS)
        print("  legs: " + ", ".join(f"{plans} plans of {count}" for count, plans in sorted(legs.items())))
    return 0 if met else 1


def figures(times: list[float]) -> tuple[float, float, float, float]:
    return (
        statistics.median(times),
        statistics.mean(times),
        statistics.quantiles(times, n=100)[98],
        max(times),
    )


if __name__ == "__main__":
    sys.exit(main())

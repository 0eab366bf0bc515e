"""How long a quote of the pools with ticks and with bins takes: microseconds, beside an empty method.

Run it from the repository's root: .venv/bin/python -m bench.pools_concentrated

The swaps are those of the test vectors. Every one is asked ROUNDS times, the kinds taking turns, and counts with its
best time; the figures are the median and the mean over the swaps, the mean carrying those that cross a hundred ticks.
The clock's own cost is in every figure; the floor says how much. The means have to meet the target.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from time import perf_counter_ns
from typing import Final

from app.venues.pools.quote import Pool, PoolError
from tests.venues.pools import test_clmm, test_dlmm
from tests.venues.pools.vectors import lines

ROUNDS: Final = 7
TARGETS_US: Final = {test_clmm.VECTORS: 25.0, test_dlmm.VECTORS: 15.0}

Ask = Callable[[int, bool, int], object]
Swap = tuple[Ask, int, bool, int]


class Floor:
    """A pool that computes nothing."""

    def ask(self, amount_in: int, a_to_b: bool, at: int = 0) -> int:
        return amount_in


def swaps(kind: str, mode: str) -> list[tuple[Pool, int, bool, int]]:
    """The lines of this kind and mode that have an answer."""
    found: list[tuple[Pool, int, bool, int]] = []
    for line in lines(kind):
        if line["mode"] != mode:
            continue
        state, amount = line["state"], int(line["amount"])
        pool: Pool
        if kind == test_clmm.VECTORS:
            pool, way, at = test_clmm.pool_of(state), line["zeroForOne"], line["blockTimestamp"]
        else:
            pool, way, at = test_dlmm.pool_of(state), line["swapForY"], line["timestamp"]
        if _answers(pool.quote_exact_in if mode == "exactIn" else pool.quote_exact_out, amount, way, at):
            found.append((pool, amount, way, at))
    return found


def functions(kind: str) -> dict[str, list[Swap]]:
    found = swaps(kind, "exactIn")
    floor = Floor().ask
    return {
        "empty method": [(floor, *asked) for _, *asked in found],  # type: ignore[misc]
        "amount_out": [(pool.amount_out, amount, way, at) for pool, amount, way, at in found],
        "quote_exact_in": [(pool.quote_exact_in, amount, way, at) for pool, amount, way, at in found],
        "quote_exact_out": [
            (pool.quote_exact_out, amount, way, at) for pool, amount, way, at in swaps(kind, "exactOut")
        ],
    }


def best_times(asked: list[Swap]) -> list[float]:
    """Of every swap, the least of ROUNDS times, in microseconds."""
    best = [float("inf")] * len(asked)
    for _ in range(ROUNDS):
        for place, (ask, amount, way, at) in enumerate(asked):
            begun = perf_counter_ns()
            ask(amount, way, at)
            best[place] = min(best[place], (perf_counter_ns() - begun) / 1_000)
    return best


def main() -> int:
    print(f"CPython {sys.version.split()[0]}, every swap {ROUNDS} times\n")
    print(f"{'µs a call':34}{'swaps':>7}{'p50':>8}{'mean':>8}{'p99':>8}  target")
    missed = 0
    for kind, target in TARGETS_US.items():
        for name, asked in functions(kind).items():
            times = best_times(asked)
            p50, mean, p99 = (
                statistics.median(times),
                statistics.mean(times),
                statistics.quantiles(times, n=100)[98],
            )
            held = name != "empty method"
            verdict = f"  {target:.0f}: {'met' if mean <= target else 'missed'}" if held else ""
            print(f"{kind:16}{name:18}{len(asked):7}{p50:8.2f}{mean:8.2f}{p99:8.2f}{verdict}")
            missed += held and mean > target
    return 1 if missed else 0


def _answers(ask: Ask, amount: int, a_to_b: bool, at: int) -> bool:
    try:
        ask(amount, a_to_b, at)
    except PoolError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())

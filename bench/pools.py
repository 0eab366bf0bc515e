"""How long a quote of each kind of pool takes: nanoseconds, beside an empty method with the same arguments.

Run it from the repository's root: .venv/bin/python -m bench.pools

The swaps are those of the test vectors, so that the integers have the sizes that occur, and all directions and fee
modes are in the mix: 128 lines of each kind, so that the pools stay in the processor's cache as a router's do. A round
asks every swap ten times; a figure is of the rounds' processor time, and the functions take turns, so that a busy
machine meets all of them. The loop itself is in every figure; the empty method says how much that is.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

from app.venues.pools.quote import Pool, PoolError
from tests.venues.pools import test_amm_v4, test_cpmm, test_damm_v2
from tests.venues.pools.vectors import lines

LINES: Final = 128
TIMES: Final = 10
ROUNDS: Final = 60
TARGET_NS: Final = 2_000

Ask = Callable[[int, bool, int], object]
Swap = tuple[Ask, int, bool, int]


class Floor:
    """A pool that computes nothing."""

    def ask(self, amount_in: int, a_to_b: bool, at: int = 0) -> int:
        return amount_in


def swaps(kind: str) -> list[tuple[Pool, int, bool, int]]:
    """The exact-in lines of this kind that have an answer."""
    found: list[tuple[Pool, int, bool, int]] = []
    for line in lines(kind):
        if line["mode"] != "exactIn" or "error" in line:
            continue
        state, amount = line["state"], int(line["amount"])
        if kind == test_cpmm.VECTORS:
            found.append((test_cpmm.pool_of(state), amount, True, 0))
        elif kind == test_amm_v4.VECTORS:
            found.append((test_amm_v4.pool_of(state), amount, line["direction"] == "baseToQuote", 0))
        else:
            found.append((test_damm_v2.pool_of(state), amount, line["aToB"], int(line["currentPoint"])))
    answered = [swap for swap in found if _answers(*swap)]
    return answered[:: len(answered) // LINES]


def functions(kind: str) -> dict[str, list[Swap]]:
    found = swaps(kind)
    floor = Floor().ask
    outputs = [(pool, pool.amount_out(amount, way, at), way, at) for pool, amount, way, at in found]
    return {
        "empty method": [(floor, amount, way, at) for _, amount, way, at in found],
        "amount_out": [(pool.amount_out, amount, way, at) for pool, amount, way, at in found],
        "quote_exact_in": [(pool.quote_exact_in, amount, way, at) for pool, amount, way, at in found],
        "quote_exact_out": [
            (pool.quote_exact_out, amount, way, at) for pool, amount, way, at in outputs if amount
        ],
    }


def nanoseconds(asked: Sequence[Swap]) -> float:
    begun = time.thread_time_ns()
    for _ in range(TIMES):
        for ask, amount, way, at in asked:
            ask(amount, way, at)
    return (time.thread_time_ns() - begun) / len(asked) / TIMES


def main() -> int:
    print(f"CPython {sys.version.split()[0]}, {ROUNDS} rounds; target {TARGET_NS} ns a quote\n")
    print(f"{'ns a call (median, best)':34}{'median':>8}{'best':>8}  of the target")
    missed = 0
    for kind in (test_cpmm.VECTORS, test_amm_v4.VECTORS, test_damm_v2.VECTORS):
        asked = functions(kind)
        rounds = [{name: nanoseconds(calls) for name, calls in asked.items()} for _ in range(ROUNDS)]
        for name in asked:
            median = statistics.median(times[name] for times in rounds)
            best = min(times[name] for times in rounds)
            print(f"{kind:16}{name:18}{median:8.0f}{best:8.0f}  {median / TARGET_NS:.0%}")
            missed += median > TARGET_NS
    return 1 if missed else 0


def _answers(pool: Pool, amount: int, a_to_b: bool, at: int) -> bool:
    try:
        pool.amount_out(amount, a_to_b, at)
    except PoolError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())

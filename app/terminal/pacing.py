"""Load at a fixed rate, and what was measured under it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from time import perf_counter


async def arrivals(rate: float, seconds: float) -> AsyncIterator[float]:
    """When each of `rate` orders a second is due, by perf_counter: at that time, or at once when that is past.

    The times do not depend on what is done with them, so latencies that count from there hold every wait.
    """
    began = perf_counter()
    for number in range(round(rate * seconds)):
        due = began + number / rate
        if (ahead := due - perf_counter()) > 0:
            await asyncio.sleep(ahead)
        yield due


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of them lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

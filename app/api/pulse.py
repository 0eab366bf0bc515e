"""The pulse: what the orders of an account did in the last minute, kept second by second as the log grows."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from time import monotonic
from typing import Final

from app.orders.lifecycle import FIRST, Status
from app.storage.activity import Activity, ActivityReader, OpenOrders
from app.venues.port import Venue

WINDOW: Final = 60  # seconds
FRESH_SECONDS: Final = 1.0  # for which a reading is good
_SECOND: Final = dt.timedelta(seconds=1)


@dataclass(slots=True)
class Second:
    """What happened in one second; `venues` counts quotes and refusals of each."""

    accepted: int = 0
    confirmed: int = 0
    failed: int = 0
    latencies: list[int] = field(default_factory=list)  # ms, of the confirmed
    venues: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """The last WINDOW seconds, oldest first; the last one is not over yet."""

    as_of: int
    at: dt.datetime
    seconds: list[tuple[dt.datetime, Second]]
    open: OpenOrders

    def percentile(self, share: float) -> int | None:
        """The nearest rank among the latencies, in ms."""
        # Each second's are sorted already, and sorting joins sorted runs quickly.
        latencies = sorted(chain.from_iterable(second.latencies for _, second in self.seconds))
        return latencies[max(0, -int(-share * len(latencies) // 1) - 1)] if latencies else None


class Pulse:
    """Reads at most once a second, however many ask, and of the log only what was added since."""

    def __init__(self, reader: ActivityReader, venues: Sequence[Venue]) -> None:
        self.venues = tuple(venue.name for venue in venues)
        self._reader = reader
        self._readings: dict[str, Reading] = {}
        self._read_at: dict[str, float] = {}
        self._seconds: dict[str, dict[dt.datetime, Second]] = {}
        self._under_way: dict[str, asyncio.Task[Reading]] = {}

    async def of(self, account: str) -> Reading:
        """The newest reading. Raises StorageUnavailable."""
        if monotonic() - self._read_at.get(account, -FRESH_SECONDS) < FRESH_SECONDS:
            return self._readings[account]
        if account not in self._under_way:
            reading = self._under_way[account] = asyncio.create_task(self._read(account))
            reading.add_done_callback(lambda _: self._under_way.pop(account))
        # Shielded: who leaves does not take it from the others, with whom an error is shared, too.
        return await asyncio.shield(self._under_way[account])

    async def _read(self, account: str) -> Reading:
        known = self._readings.get(account)
        if known is not None and monotonic() - self._read_at[account] > WINDOW:
            known = None  # to read on from there would be to read more than the window
        activity = await self._reader.since(
            account, known.as_of if known else None, dt.timedelta(seconds=WINDOW)
        )
        seconds = self._seconds.setdefault(account, {}) if known else {}
        self._seconds[account] = seconds
        self._note(seconds, activity)
        last = activity.now.replace(microsecond=0)
        window = [last - back * _SECOND for back in reversed(range(WINDOW))]
        for second in [second for second in seconds if second < window[0]]:
            del seconds[second]
        reading = self._readings[account] = Reading(
            activity.until,
            activity.now,
            [(second, seconds.get(second, _NOTHING)) for second in window],
            activity.open,
        )
        self._read_at[account] = monotonic()
        return reading

    def _note(self, seconds: dict[dt.datetime, Second], activity: Activity) -> None:
        for step in activity.steps:
            second = seconds.setdefault(step.second, Second())
            if step.status is FIRST:
                second.accepted += step.orders
            elif step.status is Status.CONFIRMED:
                second.confirmed += step.orders
                second.latencies = sorted([*second.latencies, *step.latencies])
            else:
                second.failed += step.orders
        for answer in activity.answers:
            second = seconds.setdefault(answer.second, Second())
            for venue in self.venues if answer.venue is None else (answer.venue,):
                quotes, refusals = second.venues.get(venue, (0, 0))
                second.venues[venue] = quotes + answer.quotes, refusals + answer.refusals


_NOTHING: Final = Second()

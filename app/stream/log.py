"""The log as it grows: every follower gets each entry that concerns it once, in order, from any position that is left.

A follower reads what is behind it from the ledger by itself. One task per process reads what is new, for all of them,
and only while there are any. A NOTIFY, a reconnected LISTEN and a slow timer only make it look: what is handed out
was read by position. A follower that does not keep up costs a bounded queue; it falls behind, and reads for itself.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from time import monotonic
from types import TracebackType
from typing import Final, Self

from app.orders.model import LogEntry
from app.storage.log import LogPage, LogReader
from app.stream.follower import CHUNK, Follower, Interest, LogGap, interests_in
from app.stream.subscription import HubClosed
from app.stream.supervision import Backoff, keep_running, stop

__all__ = ["Follower", "Interest", "LogFeed", "LogGap"]

PACE: Final = 0.02  # seconds from one query to the next at least
SWEEP_EVERY: Final = 3.0  # seconds after which the ledger is read, NOTIFY or not


class LogFeed:
    """One per process."""

    def __init__(self, reader: LogReader, *, sweep_every: float = SWEEP_EVERY) -> None:
        self.reader = reader
        self.position: int | None = None  # how far it has read for the followers; None: it does not read
        self._began = 0
        self._sweep_every = sweep_every
        self._followers: dict[Interest, set[Follower]] = {}
        self._work = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_open = False

    async def __aenter__(self) -> Self:
        self._is_open = True
        self._task = asyncio.create_task(keep_running(self._step, Backoff("log")), name="stream.log")
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._is_open = False
        for follower in self._all():
            follower.fail(HubClosed("the stream is closing"))
        await stop(self._task)

    def follow(self, interest: Interest) -> Follower:
        """Somebody who follows the log once it is started."""
        return Follower(self, interest)

    def look(self) -> None:
        """The log may have grown."""
        if self.position is not None:
            self._work.set()

    def join(self, follower: Follower) -> None:
        """Offers the follower what is read from now on. Raises HubClosed."""
        if not self._is_open:
            raise HubClosed("the stream is not open")
        self._followers.setdefault(follower.interest, set()).add(follower)

    def leave(self, follower: Follower) -> None:
        alike = self._followers.get(follower.interest, set())
        alike.discard(follower)
        if not alike:
            self._followers.pop(follower.interest, None)
        if not self._followers:
            self.position = None

    def begin(self, position: int) -> int:
        """Reads on from here, unless it reads already; where it began."""
        if self.position is None:
            self.position = self._began = position
            self._work.set()
        return self._began

    def _all(self) -> Iterable[Follower]:
        return [follower for alike in self._followers.values() for follower in alike]

    async def _step(self) -> None:
        await self._until_work()
        position = self.position
        if position is None:
            return
        started = monotonic()
        try:
            page = await self.reader.after(position, CHUNK)
        except BaseException:
            self._work.set()
            raise
        if self.position == position:  # else all have left meanwhile
            self._advance(position, page)
        await asyncio.sleep(started + PACE - monotonic())

    async def _until_work(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._sweep_every if self.position is not None else None):
                await self._work.wait()
        self._work.clear()

    def _advance(self, position: int, page: LogPage) -> None:
        if not page.ends.oldest <= position <= page.ends.head:
            for follower in self._all():
                follower.fall_behind()
        else:
            self._offer(page.entries)
        self.position = page.end
        if not page.is_last:
            self._work.set()

    def _offer(self, entries: Iterable[LogEntry]) -> None:
        concerned: defaultdict[Interest, list[LogEntry]] = defaultdict(list)
        for entry in entries:
            for interest in interests_in(entry):
                if interest in self._followers:
                    concerned[interest].append(entry)
        for interest, of_interest in concerned.items():
            for follower in tuple(self._followers[interest]):
                follower.offer(of_interest)

"""One follower of the log: a place in it, what it has read by itself, and a bounded queue of what is new."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Final, NamedTuple, Protocol, Self

from app.errors import EngineError
from app.orders.model import LogEntry
from app.storage.log import LogReader

CHUNK: Final = 500  # entries per query
MAX_QUEUE: Final = 1000  # entries that wait for one follower


class LogGap(EngineError):  # noqa: N818  # reads as what it is
    """The log cannot be followed from there: entries after it are deleted, or it is a position of another ledger."""

    def __init__(self, after: int, oldest: int) -> None:
        super().__init__(f"the log cannot be followed from {after}, but from {oldest}")
        self.after = after
        self.oldest = oldest


class Interest(NamedTuple):
    """Whose entries: all of an account, or those of one of its wallets."""

    account: str
    wallet: str | None = None


class Feed(Protocol):
    """What reads the log for all followers that have caught up."""

    reader: LogReader
    position: int | None  # how far it has read; None: it does not read

    def join(self, follower: Follower) -> None:
        """From now on the follower is offered what is read. Raises HubClosed."""

    def leave(self, follower: Follower) -> None: ...

    def begin(self, position: int) -> int:
        """Reads on from here, unless it reads already; where it began."""


class Follower:
    """An iterator over the entries of an interest, for one task, after `start`; it has no end.

    Raises HubClosed when the process closes its stream, LogGap when what comes next is deleted by now, and
    StorageUnavailable when it has to read the ledger and cannot: it goes on when it is asked again.
    """

    def __init__(self, feed: Feed, interest: Interest) -> None:
        self.interest = interest
        self._feed = feed
        self._backlog: deque[LogEntry] = deque()  # what it has read by itself
        self._queue: deque[LogEntry] = deque()  # what the feed has read since
        self._read_to = 0  # nothing up to here is left but what is in the backlog
        self._handed = 0  # position of the last entry handed out
        self._is_collecting = False  # the queue has all that came since it was emptied last
        self._is_live = False  # whatever comes after the backlog is, or will be, in the queue
        self._error: EngineError | None = None
        self._wake = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._feed.leave(self)

    def __aiter__(self) -> Self:
        return self

    @property
    def position(self) -> int:
        """How far its entries are handed out: nothing up to here will come."""
        return self._handed if self._backlog or self._queue else self._reached

    @property
    def _reached(self) -> int:
        return max(self._read_to, self._feed.position or 0) if self._is_live else self._read_to

    async def start(self, after: int | None = None) -> int:
        """Places it after a position, or at the end, and answers where the log ends.

        Raises HubClosed or StorageUnavailable.
        """
        head = (await self._feed.reader.ends()).head
        self._read_to = self._handed = head if after is None else after
        self._feed.join(self)
        return head

    async def __anext__(self) -> LogEntry:
        while True:
            if self._error is not None:
                raise self._error
            if waiting := self._backlog or (self._queue if self._is_live else None):
                entry = waiting.popleft()
                self._handed = entry.position
                return entry
            if self._is_live:
                self._wake.clear()
                await self._wake.wait()
            else:
                await self._catch_up()

    def offer(self, entries: Sequence[LogEntry]) -> None:
        """Takes what concerns it of what the feed has read, or falls behind."""
        fresh = [entry for entry in entries if entry.position > self._read_to]
        if not self._is_collecting or not fresh:
            return
        if self._queue and len(self._queue) + len(fresh) > MAX_QUEUE:
            self.fall_behind()
        else:  # who has taken all gets whatever one read brings
            self._queue.extend(fresh)
            self._wake.set()

    def fall_behind(self) -> None:
        """Drops what the feed has brought; it is read again."""
        if self._is_live:
            self._read_to = self._queue[0].position - 1 if self._queue else self._reached
        self._is_live = self._is_collecting = False
        self._queue.clear()
        self._wake.set()

    def fail(self, error: EngineError) -> None:
        """Ends the iteration with this error."""
        self._error = error
        self._wake.set()

    async def _catch_up(self) -> None:
        """Reads a page, and goes live when it was the last and the feed has brought all that came since."""
        self._queue.clear()
        self._is_collecting = True
        offered_from = self._feed.position
        page = await self._feed.reader.after(self._read_to, CHUNK)
        if not page.ends.oldest <= self._read_to <= page.ends.head:
            raise LogGap(self._read_to, page.ends.oldest)
        self._read_to = page.end
        self._backlog.extend(entry for entry in page.entries if concerns(self.interest, entry))
        if page.is_last and self._is_collecting:
            if offered_from is None:
                offered_from = self._feed.begin(page.end)
            self._is_live = page.end >= offered_from
            self._queue = deque(entry for entry in self._queue if entry.position > page.end)


def interests_in(entry: LogEntry) -> list[Interest]:
    """Whom an entry concerns."""
    everybody = Interest(entry.account)
    return [everybody] if entry.wallet is None else [everybody, Interest(entry.account, entry.wallet)]


def concerns(interest: Interest, entry: LogEntry) -> bool:
    return interest in interests_in(entry)

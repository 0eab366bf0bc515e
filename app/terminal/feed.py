"""The engine at work: a line per step of every order, as it happens."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from time import time
from typing import Final, NamedTuple
from uuid import UUID

from rich.console import Console
from sqlalchemy.ext.asyncio import async_sessionmaker

from app.orders.model import OrderEvent
from app.storage.database import Database, conninfo
from app.storage.queries import load_queries
from app.storage.reader import OrderReader
from app.stream.listener import Listener, Notices
from app.stream.supervision import Backoff, keep_running
from app.terminal.render import crowd_line, feed_line, step_of_event
from app.terminal.screen import open_console

CHUNK: Final = 256  # orders per query
MAX_ORDERS: Final = 10_000  # orders whose place is remembered
PACE: Final = 0.1  # seconds from one query to the next at least
MAX_LINES: Final = 100  # steps per query that are shown one by one
READ_SECONDS: Final = 10.0
LATE_MS: Final = 5000

_QUERIES: Final = load_queries("app.terminal")


async def follow_engine(database_url: str, *, console: Console | None = None) -> None:
    """Shows the steps of all orders until it is cancelled; a database that is away is waited for."""
    out = console or open_console()
    # No sessions: only pages of orders need them.
    async with Database(conninfo(database_url, "feed"), size=1) as database:
        feed = Feed(database, OrderReader(database, async_sessionmaker()), lambda events: _show(out, events))
        async with Listener(
            conninfo(database_url, "feed-listen"), on_notice=feed.notice, on_connected=feed.reread
        ):
            await keep_running(feed.step, Backoff("feed"))


def _show(out: Console, events: Sequence[OrderEvent]) -> None:
    # Whoever reads us may go away (`run | head`): rich then writes to nowhere, and the engine must go on.
    with suppress(SystemExit):
        if len(events) > MAX_LINES:
            out.print(crowd_line(events))
            return
        for event in sorted(events, key=lambda event: (event.at, event.order_id, event.sequence)):
            out.print(feed_line(step_of_event(event)))


class _Place(NamedTuple):
    """How far an order has been shown."""

    sequence: int
    is_final: bool


class Feed:
    """Which events of which orders have been shown: each of an order once, in order, in bounded memory."""

    def __init__(
        self, database: Database, reader: OrderReader, show: Callable[[Sequence[OrderEvent]], None]
    ) -> None:
        self._database = database
        self._reader = reader
        self._show = show
        self._shown: OrderedDict[UUID, _Place] = OrderedDict()
        self._marks: dict[UUID, int] = {}
        self._work = asyncio.Event()
        # Orders born later than this are shown from their first step; an older one may have been shown and forgotten.
        self._horizon = int(time() * 1000)
        self._newest = self._horizon  # birth of the youngest order shown
        self._has_missed = False  # orders may have been born unheard

    def notice(self, notices: Notices) -> None:
        for notice in notices:
            self._mark(notice.order_id, notice.sequence)

    def reread(self) -> None:
        """Marks every order that has not ended, and looks for new ones: they may have moved unheard."""
        self._has_missed = True
        self._work.set()
        for order_id, place in self._shown.items():
            if not place.is_final:
                self._mark(order_id, place.sequence + 1)

    async def step(self) -> None:
        await self._work.wait()
        if self._has_missed:
            # Before the query: a connection lost while it runs asks for another one.
            self._has_missed = False
            await self._find_unheard()
        marks = {order_id: self._marks.pop(order_id) for order_id in tuple(islice(self._marks, CHUNK))}
        if not self._marks:
            self._work.clear()
        cursors = [(order_id, self._cursor(order_id, sequence)) for order_id, sequence in marks.items()]
        try:
            async with asyncio.timeout(READ_SECONDS):
                events = await self._reader.events_after(cursors)
        except BaseException:
            for order_id, sequence in marks.items():
                self._mark(order_id, sequence)
            raise
        if events:
            self._remember(events)
            self._show(events)
        await asyncio.sleep(PACE)

    async def _find_unheard(self) -> None:
        # An id is older than its commit: a few seconds back, some may have come late.
        since = max(self._horizon, self._newest - LATE_MS)
        try:
            async with self._database.connection() as connection:
                cursor = await connection.execute(
                    _QUERIES["orders_since"], (UUID(int=since << 80), MAX_ORDERS)
                )
                unheard = await cursor.fetchall()
        except BaseException:
            self._has_missed = True
            raise
        for (order_id,) in reversed(unheard):
            if order_id not in self._shown and _born(order_id) > self._horizon:
                self._mark(order_id, 1)

    def _mark(self, order_id: UUID, sequence: int) -> None:
        if order_id not in self._marks and len(self._marks) >= MAX_ORDERS:
            del self._marks[next(iter(self._marks))]
        # The least that is new: for an order that we do not know, the steps from there on are shown.
        self._marks[order_id] = min(sequence, self._marks.get(order_id, sequence))
        self._work.set()

    def _cursor(self, order_id: UUID, sequence: int) -> int:
        place = self._shown.get(order_id)
        if place is not None:
            return place.sequence
        return 0 if _born(order_id) > self._horizon else sequence - 1

    def _remember(self, events: Sequence[OrderEvent]) -> None:
        for event in events:
            self._shown[event.order_id] = _Place(event.sequence, event.status.is_final)
            self._shown.move_to_end(event.order_id)
            self._newest = max(self._newest, _born(event.order_id))
        while len(self._shown) > MAX_ORDERS:
            forgotten, _ = self._shown.popitem(last=False)
            self._horizon = max(self._horizon, _born(forgotten))


def _born(order_id: UUID) -> int:
    """Milliseconds since 1970: the first 48 bits of a UUIDv7."""
    return order_id.int >> 80

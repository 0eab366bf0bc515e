"""The hub: every watcher of an order gets each of its events once, in order, whenever the watcher comes.

A subscription knows the last sequence it was given. A NOTIFY that brings the very next event is passed on, and who comes
right after the POST gets what was notified since then; whatever else says that an order may have moved (any other
subscription, any other NOTIFY, a reconnected LISTEN, a slow timer) only marks the order, and one task reads the marked
orders' events from the ledger, many orders per query.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Container, Iterable, Mapping
from contextlib import suppress
from itertools import chain, groupby, islice
from operator import attrgetter
from time import monotonic
from types import TracebackType
from typing import Final, Self
from uuid import UUID

import structlog

from app.errors import UnknownOrder
from app.orders.model import OrderEvent
from app.storage.reader import OrderReader
from app.stream.listener import Listener, Notices
from app.stream.recent import Recent
from app.stream.subscription import HubClosed, SlowConsumer, Subscription
from app.stream.supervision import Backoff, keep_running, stop

__all__ = ["Hub", "HubClosed", "SlowConsumer", "Subscription"]

CHUNK: Final = 256  # orders per query
PACE: Final = 0.002  # seconds from one query to the next at least: when busy, more orders share one
READ_SECONDS: Final = 10.0
SWEEP_EVERY: Final = 3.0  # seconds after which every watched order is read, NOTIFY or not
MAX_QUEUE: Final = 256  # events that wait for one watcher
ANY: Final = sys.maxsize  # a mark that only a read removes

log = structlog.get_logger()


class Hub:
    """One per process; `conninfo` is for its LISTEN connection, `reader` reads the ledger.

    `on_moved` is called whenever some order may have moved.
    """

    def __init__(
        self,
        conninfo: str,
        reader: OrderReader,
        *,
        on_moved: Callable[[], None] = lambda: None,
        max_queue: int = MAX_QUEUE,
        sweep_every: float = SWEEP_EVERY,
    ) -> None:
        self._reader = reader
        self._on_moved = on_moved
        self._max_queue = max_queue
        self._sweep_every = sweep_every
        self._listener = Listener(conninfo, on_notice=self._on_notice, on_connected=self._on_connected)
        self._recent = Recent()
        self._subscriptions: dict[UUID, tuple[Subscription, ...]] = {}
        self._moved: dict[UUID, int] = {}  # orders to read now, with the sequence that is said to exist
        self._unsure: dict[UUID, int] = {}  # orders to read after those
        self._chunk = CHUNK
        self._work = asyncio.Event()
        self._next_sweep = 0.0
        self._task: asyncio.Task[None] | None = None
        self._open = False

    async def __aenter__(self) -> Self:
        self._open = True
        self._next_sweep = monotonic() + self._sweep_every
        await self._listener.__aenter__()
        self._task = asyncio.create_task(keep_running(self._read_marked, Backoff("hub")), name="stream.hub")
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._open = False
        for subscriptions in tuple(self._subscriptions.values()):
            for subscription in subscriptions:
                subscription.fail(HubClosed("the stream is closing"))
        await stop(self._task)
        await self._listener.__aexit__(exc_type, exc, tb)

    def subscribe(self, order_id: UUID, after: int = 0) -> Subscription:
        """The events of the order after this sequence, those in the ledger and those to come. Raises HubClosed.

        A watcher from the beginning finds out that the order does not exist: its iteration raises UnknownOrder.
        """
        if not self._open:
            raise HubClosed("the stream is not open")
        subscription = Subscription(order_id, after, self._max_queue, self._unregister)
        self._subscriptions[order_id] = (*self._subscriptions.get(order_id, ()), subscription)
        if self._listener.is_listening and not after and (events := self._recent.events(order_id)):
            subscription.offer(events)
        else:
            self._mark(self._moved, order_id, ANY)
        return subscription

    def _unregister(self, subscription: Subscription) -> None:
        order_id = subscription.order_id
        others = tuple(other for other in self._subscriptions.get(order_id, ()) if other is not subscription)
        if others:
            self._subscriptions[order_id] = others
        else:
            self._subscriptions.pop(order_id, None)

    def _mark(self, marks: dict[UUID, int], order_id: UUID, sequence: int) -> None:
        marks[order_id] = max(sequence, marks.get(order_id, 0))
        self._work.set()

    def _on_notice(self, notices: Notices) -> None:
        """Who is up to date gets the event at once; who is not, or of a notice without one, is read for."""
        self._on_moved()
        for notice in notices:
            self._recent.take(notice)
            if subscriptions := self._subscriptions.get(notice.order_id):
                event = notice.event()
                for subscription in subscriptions:
                    if event is not None and subscription.cursor == notice.sequence - 1:
                        subscription.offer([event])
                    else:
                        self._mark(self._moved, notice.order_id, notice.sequence)

    def _on_connected(self) -> None:
        self._recent.forget()
        self._on_moved()
        self._sweep()

    def _sweep(self) -> None:
        self._next_sweep = monotonic() + self._sweep_every
        for order_id in self._subscriptions:
            self._mark(self._unsure, order_id, ANY)

    async def _read_marked(self) -> None:
        await self._until_marked()
        started = monotonic()
        marks = self._take_marks()
        try:
            # An order that is marked while this read runs is read again: its mark is a new one.
            if cursors := self._cursors(marks):
                beginners = [self._subscriptions[order_id] for order_id, cursor in cursors if cursor == 0]
                async with asyncio.timeout(READ_SECONDS):
                    events = await self._reader.events_after(cursors)
                self._deliver(events, dict(cursors))
                _dismiss(beginners, {event.order_id for event in events})
        except BaseException:
            for order_id, sequence in marks.items():
                self._mark(self._unsure, order_id, sequence)
            # Fewer at a time, so that one order that cannot be read does not stop the others for good.
            self._chunk = max(1, self._chunk // 4)
            raise
        self._chunk = min(CHUNK, self._chunk * 2)
        await asyncio.sleep(started + PACE - monotonic())

    async def _until_marked(self) -> None:
        if monotonic() >= self._next_sweep:
            self._sweep()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._next_sweep - monotonic()):
                await self._work.wait()

    def _take_marks(self) -> dict[UUID, int]:
        taken: dict[UUID, int] = {}
        live_share = -(-self._chunk * 3 // 4)  # the rest is for the unsure, which must not starve
        for marks, room in ((self._moved, live_share), (self._unsure, self._chunk)):
            for order_id in tuple(islice(marks, room - len(taken))):
                taken[order_id] = max(marks.pop(order_id), taken.get(order_id, 0))
        if not self._moved and not self._unsure:
            self._work.clear()
        return taken

    def _cursors(self, marks: dict[UUID, int]) -> list[tuple[UUID, int]]:
        """Where to read from: the least that a watcher of the order has; none when all have what is said to exist."""
        cursors = []
        for order_id, sequence in marks.items():
            if subscriptions := self._subscriptions.get(order_id):
                after = min(subscription.cursor for subscription in subscriptions)
                if after < sequence:
                    cursors.append((order_id, after))
        return cursors

    def _deliver(self, events: Iterable[OrderEvent], cursors: Mapping[UUID, int]) -> None:
        for order_id, group in groupby(events, key=attrgetter("order_id")):
            steps = list(group)
            for subscription in self._subscriptions.get(order_id, ()):
                # One that came during this read needs what is before it, too: its own mark brings it.
                came_later = subscription.cursor < cursors[order_id]
                if not (came_later or subscription.offer(steps)):
                    # Left to the next sweep: a hole that stays must not keep the reader spinning.
                    log.error(
                        "stream.gap", order_id=str(order_id), sequences=[step.sequence for step in steps]
                    )


def _dismiss(beginners: Iterable[Iterable[Subscription]], known: Container[UUID]) -> None:
    """Tells those who wait for the first event of an order that has none: it was never accepted."""
    for subscription in chain.from_iterable(beginners):
        if subscription.order_id not in known:
            subscription.fail(UnknownOrder(str(subscription.order_id)))

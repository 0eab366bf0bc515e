"""One watcher of one order: a cursor into the order's events, and a bounded queue."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self
from uuid import UUID

from app.errors import EngineError
from app.orders.model import OrderEvent


class SlowConsumer(EngineError):  # noqa: N818  # reads as what it is
    """The watcher did not take its events in time; it can resume after the last one it got."""


class HubClosed(EngineError):  # noqa: N818
    """The process is closing its stream; the watcher can resume at another one."""


class Subscription:
    """An iterator over an order's events for one task; ends after the final one.

    Raises SlowConsumer and HubClosed at once, whatever still waits in the queue: the watcher resumes.
    """

    __slots__ = (
        "_ended",
        "_error",
        "_leave",
        "_max_queue",
        "_queue",
        "_resumed",
        "_sent",
        "_waiter",
        "order_id",
    )

    def __init__(
        self, order_id: UUID, after: int, max_queue: int, leave: Callable[[Subscription], None]
    ) -> None:
        self.order_id = order_id
        self._sent = after  # the sequence of the last event put into the queue
        self._resumed = after > 0
        self._max_queue = max_queue
        self._leave = leave
        self._queue: deque[OrderEvent] | None = (
            None  # made when it is needed: most watchers wait most of the time
        )
        self._waiter: asyncio.Future[None] | None = None
        self._error: EngineError | None = None
        self._ended = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._end()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> OrderEvent:
        while True:
            if self._error is not None:
                raise self._error
            if self._queue:
                event = self._queue.popleft()
                self._queue = self._queue or None  # an empty deque holds 600 bytes
                return event
            if self._ended:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    @property
    def cursor(self) -> int:
        """The sequence after which to read: everything, once, for a resumed watcher, whose order may be over already."""
        return 0 if self._resumed else self._sent

    def offer(self, events: Sequence[OrderEvent]) -> bool:
        """Takes those of the order's events that come next; False when one before them is missing."""
        fresh: list[OrderEvent] = []
        last, is_whole, is_over = self._sent, True, False
        for event in events:
            if event.sequence > last + 1:
                is_whole = False
                break
            if event.sequence == last + 1:
                fresh.append(event)
                last += 1
            is_over = event.status.is_final
        self._resumed = self._resumed and events[-1].sequence < self._sent
        if fresh:
            self._put(fresh)
        if is_over:
            self._end()
        return is_whole

    def fail(self, error: EngineError) -> None:
        """Ends the iteration with this error."""
        self._error = error
        self._queue = None
        self._end()

    def _put(self, events: list[OrderEvent]) -> None:
        if not self._queue:
            # Who has caught up gets whatever one read brings: a long history alone makes nobody slow.
            self._queue = deque(events)
        elif len(self._queue) + len(events) > self._max_queue:
            self.fail(SlowConsumer(f"{len(self._queue)} events wait for the watcher"))
            return
        else:
            self._queue.extend(events)
        self._sent = events[-1].sequence
        self._wake()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._leave(self)
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

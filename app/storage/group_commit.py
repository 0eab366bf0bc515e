"""Group commit: many callers, one statement, which is its own transaction.

While one flush is in flight the next batch gathers; an idle lane flushes at once. So a quiet system pays
nothing, and a busy one commits many items with one fsync.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

import psycopg
import structlog

from app.errors import StorageUnavailable
from app.storage.database import REFUSALS, Connection
from app.storage.line import CLOSE_SECONDS, Line
from app.storage.waiting import Waiting, fail, lost

Item = TypeVar("Item")
Result = TypeVar("Result")
Write = Callable[[Connection, Sequence[Item]], Awaitable[Sequence[Result | Exception]]]

PACE: Final = 0.0025  # seconds between the starts of two flushes of a busy lane: fewer, larger transactions

log = structlog.get_logger()


class GroupCommit(Generic[Item, Result]):
    """One lane: one connection, at most one batch in flight.

    `write` gets a connection in autocommit mode and the items of the batch, and answers one result per item, in order;
    an exception as a result is raised for that item's caller alone. What one call writes it writes in one statement, so
    all of it is committed, or nothing. A batch that fails as a whole is retried item by item, so that a bad item
    never fails its neighbours. A batch whose connection is lost may have been committed: each caller gets
    StorageUnavailable. `kind` keeps items apart that need different statements.
    """

    def __init__(
        self,
        name: str,
        conninfo: str,
        write: Write[Item, Result],
        *,
        max_batch: int = 128,
        max_waiting: int = 10_000,
        deadline: float = 5.0,
        kind: Callable[[Item], Hashable] | None = None,
        pace: float | None = None,
    ) -> None:
        self.name = name
        self._line = Line(conninfo, deadline, self._refuse_all)
        self._write = write
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._deadline = deadline
        self._kind = kind
        self._pace = PACE if pace is None else pace
        self._queue: deque[Waiting[Item, Result]] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._next_flush = 0.0  # the loop's time, for a lane that is busy
        self._lane: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._lane = asyncio.create_task(self._run(), name=f"lane {self.name}")
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Flushes what is waiting, then closes the connection; what cannot be flushed is refused."""
        self._closing = True
        self._line.give_up_soon()
        self._wake.set()
        assert self._lane is not None
        await asyncio.wait({self._lane}, timeout=self._deadline)
        self._lane.cancel()
        await asyncio.wait({self._lane}, timeout=CLOSE_SECONDS)
        self._refuse_all("the lane is closed")
        await self._line.close()

    async def submit(self, item: Item) -> Result:
        """The result of committing the item. Raises StorageUnavailable, or what `write` answered for it."""
        return await self.put(item)

    def put(self, item: Item) -> asyncio.Future[Result]:
        """`submit` for callers that have something else to do meanwhile; items of one caller keep their order."""
        if self._closing or self._lane is None or self._lane.done():
            raise StorageUnavailable(f"lane {self.name} is closed")
        if len(self._queue) >= self._max_waiting:
            raise StorageUnavailable(f"lane {self.name} is full")
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._queue.append(Waiting(item, future))
        self._wake.set()
        return future

    async def _run(self) -> None:
        """Serves until closed. No error ends the lane: one that died silently would hang every caller."""
        lane = asyncio.current_task()
        assert lane is not None
        while not (self._closing and not self._queue):
            try:
                await self._turn()
            except (Exception, asyncio.CancelledError):  # cancellations leak out of libraries
                if lane.cancelling():
                    return
                log.exception("lane.failed", lane=self.name)

    async def _turn(self) -> None:
        """Waits for items, then for a connection, then commits one batch."""
        self._wake.clear()
        if not self._queue:
            self._next_flush = 0.0
            await self._wake.wait()
        elif len(self._queue) < self._max_batch and (early := self._early()) > 0:
            await asyncio.sleep(early)
        elif await self._line.open() and (batch := self._take()):
            again: Sequence[Waiting[Item, Result]] = ()
            self._next_flush = asyncio.get_running_loop().time() + self._pace
            try:
                again = await self._flush(batch)
            finally:  # whatever happened, nobody is left waiting
                self._queue.extendleft(reversed(again))
                settled = [waiting for waiting in batch if waiting not in again]
                fail(settled, StorageUnavailable(f"lane {self.name} gave up"))

    def _early(self) -> float:
        """Seconds until a busy lane flushes again; an idle one flushes at once."""
        return self._next_flush - asyncio.get_running_loop().time()

    def _take(self) -> list[Waiting[Item, Result]]:
        """The next batch, of one kind; callers that gave up while waiting are left out."""
        batch: list[Waiting[Item, Result]] = []
        others: list[Waiting[Item, Result]] = []
        kind: Hashable = None
        while self._queue and len(batch) < self._max_batch:
            waiting = self._queue.popleft()
            if waiting.future.done():
                continue
            own_kind = self._kind(waiting.item) if self._kind else None
            if batch and own_kind != kind:
                others.append(waiting)
                continue
            kind = own_kind
            batch.append(waiting)
        self._queue.extendleft(reversed(others))
        return batch

    async def _flush(self, batch: Sequence[Waiting[Item, Result]]) -> Sequence[Waiting[Item, Result]]:
        """Commits the batch and settles its callers; what is left is to be tried again."""
        try:
            results = await self._commit([waiting.item for waiting in batch])
        except Exception as error:  # noqa: BLE001  # whatever it is, one item may have caused it
            return await self._recover(batch, error)
        if len(results) != len(batch):  # it is committed, but nobody can tell whose result is which
            results = [RuntimeError(f"{len(results)} results for {len(batch)} items")] * len(batch)
        for waiting, result in zip(batch, results, strict=True):
            waiting.settle(result)
        return ()

    async def _commit(self, items: Sequence[Item]) -> Sequence[Result | Exception]:
        """Within the deadline; later it may still be committed, but nobody waits for it any more."""
        try:
            async with asyncio.timeout(self._deadline):
                return await self._write(self._line.connection, items)
        except TimeoutError:
            raise TimeoutError(f"no answer within {self._deadline:g} s") from None

    async def _recover(
        self, batch: Sequence[Waiting[Item, Result]], error: Exception
    ) -> Sequence[Waiting[Item, Result]]:
        """After a failed flush: tell the callers, or find the item that spoilt the batch; what is left was not tried."""
        if self._line.is_lost() or isinstance(error, (TimeoutError, OSError, *REFUSALS)):
            log.warning("lane.lost", lane=self.name, items=len(batch), error=str(error))
            await self._line.close()
            fail(batch, lost(error))
        elif len(batch) == 1:
            # The server is alive and refuses: an operational error (disk full, deadlock) may pass, others will not.
            fail(batch, lost(error) if isinstance(error, psycopg.OperationalError) else error)
        else:
            log.info("lane.isolating", lane=self.name, items=len(batch), error=str(error))
            for i, waiting in enumerate(batch):
                await self._flush([waiting])
                if self._line.is_lost():
                    return batch[i + 1 :]
        return ()

    def _refuse_all(self, why: str) -> None:
        refused = list(self._queue)
        self._queue.clear()
        fail(refused, StorageUnavailable(f"lane {self.name}: {why}"))

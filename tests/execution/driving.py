"""Engines over the real ledger and paper venues, and driving an order to its end whatever it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self
from uuid import UUID

from app.errors import HandedBack, StorageUnavailable
from app.execution.engine import Engine, is_cancelled
from app.execution.steps import Steps
from app.orders.model import Order, OrderEvent
from app.storage.ledger import Claimed, Ledger, Suspect
from app.storage.moves import Move
from app.venues.port import Venue
from tests.support.books import Books

from .paper import Stage

DEADLINE = 20.0
ROUNDS = 30


class StagedLedger(Ledger):
    """A process's ledger: once the process has ended, nothing reaches the database any more."""

    def __init__(self, inner: Ledger, stage: Stage) -> None:
        self._inner = inner
        self._stage = stage

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        return

    async def claim(self, order_id: UUID, worker: int, max_deaths: int) -> Claimed | Suspect | None:
        await self._stage.reach("before claim")
        claimed = await self._inner.claim(order_id, worker, max_deaths)
        await self._stage.reach("after claim")
        return claimed

    def move(self, move: Move) -> asyncio.Future[OrderEvent]:
        return asyncio.ensure_future(self._moved(move))

    async def _moved(self, move: Move) -> OrderEvent:
        await self._stage.reach(f"before {move.target}")
        event = await self._inner.move(move)
        await self._stage.reach(f"after {move.target}")
        return event

    async def release(self, order: Order, *, died: bool = False) -> None:
        if self._stage.has_ended and self._stage.is_killed:
            raise StorageUnavailable("this process has ended")
        await self._inner.release(order, died=died)


class Driver:
    """A worker process: an engine with a worker's number, and what it published."""

    def __init__(
        self,
        books: Books,
        venues: Sequence[Venue],
        *,
        ledger: Ledger | None = None,
        max_attempts: int = 3,
        concurrency: int = 100,
        steps: type[Steps] | None = None,
    ) -> None:
        self.books = books
        self.published: list[OrderEvent] = []
        self.breakages: list[BaseException] = []
        self.engine = Engine(
            ledger or books.ledger,
            venues,
            max_attempts=max_attempts,
            concurrency=concurrency,
            publish=self.published.append,
            admit=self._admit,
        )
        if steps is not None:
            self.engine._steps.__class__ = steps
        self.worker = 0
        self._hiring = asyncio.Lock()

    async def drive(self, order_id: UUID) -> None:
        """Once, as far as it goes."""
        async with self._hiring:
            self.worker = self.worker or await self.books.a_worker()
        async with asyncio.timeout(DEADLINE):
            await self.engine.drive(order_id, self.worker)

    async def finish(self, order_id: UUID) -> None:
        """To the end, again and again; waiting times are skipped and failures are what workers live with."""
        for _ in range(ROUNDS):
            await self.books.make_due(order_id)
            try:
                await self.drive(order_id)
            except (HandedBack, StorageUnavailable):
                raise
            except (Exception, asyncio.CancelledError) as error:
                if is_cancelled():
                    raise
                self.breakages.append(error)  # the job of a broken engine comes again
            if (await self.books.status(order_id)) in {"confirmed", "failed"}:
                return
        raise AssertionError(f"order {order_id} is {await self.books.status(order_id)} after {ROUNDS} rounds")

    async def die(self) -> None:
        await self.books.bury(self.worker)

    async def _admit(self, _order_id: UUID) -> float:
        return 0

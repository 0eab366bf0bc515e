"""Fetching jobs without procrastinate's worker, which would do something with them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple, cast

import procrastinate

from app.execution.engine import Engine
from app.jobs.app import MAINTENANCE_QUEUE, ORDERS_QUEUE
from app.jobs.fetching import Fetched, JobFetcher
from app.jobs.finished import FinishedJobs
from app.jobs.manager import OrderJobManager
from app.storage.database import conninfo
from tests.support.books import Books

QUEUES: Final = [ORDERS_QUEUE, MAINTENANCE_QUEUE]


class Room:
    """An engine as far as its room goes."""

    is_there = True

    async def has_room(self, _patience: float) -> bool:
        return self.is_there


class Counting(JobFetcher):
    """Counts what is asked; something may happen between the first answer and its reader."""

    asked = 0
    after_the_first: Callable[[], Awaitable[None]] | None = None

    async def fetch(self, queues: Iterable[str], worker: int) -> Fetched:
        self.asked += 1
        fetched = await super().fetch(queues, worker)
        if self.after_the_first is not None:
            happen, self.after_the_first = self.after_the_first, None
            await happen()
        return fetched


class Told(procrastinate.PsycopgConnector):
    """Lets a test say what has been told."""

    tell: Any = None

    async def listen_notify(self, on_notification: Any, channels: Any) -> None:  # noqa: ARG002
        self.tell = on_notification


class Desk(NamedTuple):
    manager: OrderJobManager
    fetcher: Counting
    connector: Told


@asynccontextmanager
async def a_desk(books: Books, room: Room | None = None) -> AsyncIterator[Desk]:
    hints = conninfo(books.url, "worker", is_durable=False, plans_once=True)  # as a worker's are
    connector, fetcher, finished = Told(), Counting(hints), FinishedJobs(hints)
    manager = OrderJobManager(connector, cast("Engine", room or Room()), fetcher, finished)
    app = procrastinate.App(connector=connector)
    async with app.open_async(books.database.pool), fetcher, finished:
        yield Desk(manager, fetcher, connector)

"""Workers in the test's own loop, what they leave in the database, and waiting for it with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

import procrastinate
from procrastinate.manager import JobManager

from app.jobs.app import ORDERS_QUEUE
from app.jobs.maintenance import sweep
from app.jobs.worker import STOP_SECONDS, Worker
from app.runtime import open_worker
from app.settings import Settings
from app.storage.database import Database
from tests.builders import a_request
from tests.support.books import Books

STALE_SECONDS: Final = 5.0  # without a heartbeat, as in the view live_workers
DEADLINE: Final = 20.0
GENEROUS: Final = 5000  # basis points: whatever the market does, the swap lands
THE_WORKERS: Final = ["order-engine worker", "order-engine ledger", "order-engine venues"]


def settings(books: Books, **changes: Any) -> Settings:
    """A worker without Redis whose venues answer at once and never fail, unless asked for."""
    calm = {
        "mock_dex_quote_delay_ms": 0,
        "mock_dex_execution_delay_ms": 0,
        "mock_dex_slot_ms": 0,
        "mock_dex_failure_rate": 0.0,
    }
    return Settings(**({"database_url": books.url} | calm | changes))


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Worker]:
    """A worker that serves for as long as the block lasts, unless it is stopped before."""
    async with open_worker(settings) as worker:
        running = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            worker.stop()
            async with asyncio.timeout(STOP_SECONDS + 1):
                await running


class Sweeps:
    """Stands in for the sweep and counts the rounds; does nothing else, unless it is given the real one."""

    def __init__(self, sweep: Callable[[Database, JobManager], Awaitable[None]] | None = None) -> None:
        self.rounds = 0
        self._sweep = sweep

    async def __call__(self, database: Database, jobs: JobManager) -> None:
        if self._sweep is not None:
            await self._sweep(database, jobs)
        self.rounds += 1


@asynccontextmanager
async def job_manager(database: Database) -> AsyncIterator[JobManager]:
    """The library's own way to the jobs."""
    app = procrastinate.App(connector=procrastinate.PsycopgConnector())
    async with app.open_async(database.pool):
        yield app.job_manager


async def until(condition: Callable[[], Awaitable[object]], within: float = DEADLINE) -> None:
    """Fails unless it holds at some time before the deadline (seconds)."""
    async with asyncio.timeout(within):
        while not await condition():  # noqa: ASYNC110  # what is waited for happens in the database
            await asyncio.sleep(0.02)


async def place(books: Books, count: int, *, apart: bool = False) -> list[UUID]:
    """That many orders, accepted together, or each on its own and so with a job of its own."""
    request = a_request(slippage_bps=GENEROUS)
    if apart:
        return [await books.accept(request) for _ in range(count)]
    return await asyncio.gather(*(books.accept(request) for _ in range(count)))


async def statuses(books: Books) -> dict[str, int]:
    """How many orders there are at each status."""
    return {
        row.status: row.count for row in await books.ask("SELECT status, count(*) FROM orders GROUP BY 1")
    }


async def all_ended(books: Books) -> bool:
    return not await books.ask("SELECT id FROM orders WHERE is_open AND queued_at IS NOT NULL")


async def number_held(books: Books) -> int:
    """How many open orders are in somebody's hands."""
    return len(await books.ask("SELECT id FROM orders WHERE claimed_by IS NOT NULL"))


async def order_jobs(books: Books, status: str | None = None) -> list[Any]:
    return await books.ask(
        "SELECT * FROM procrastinate_jobs WHERE task_name = 'execute_orders'"
        " AND status = coalesce(%s::procrastinate_job_status, status) ORDER BY id",
        status,
    )


async def workers(books: Books) -> set[int]:
    """The workers that are registered."""
    return {row.id for row in await books.ask("SELECT id FROM procrastinate_workers")}


async def lose_jobs(books: Books) -> None:
    """What names orders is gone; the orders are not."""
    await books.ask("DELETE FROM procrastinate_jobs WHERE task_name = 'execute_orders'")


async def lose_waiting_jobs(books: Books) -> None:
    """The same, but for the jobs that workers have."""
    await books.ask("DELETE FROM procrastinate_jobs WHERE status = 'todo' AND queue_name = %s", ORDERS_QUEUE)


async def swept(books: Books) -> None:
    """One round of the sweep has gone by."""
    async with job_manager(books.database) as jobs:
        await sweep(books.database, jobs)


async def fetch(books: Books, worker: int) -> None:
    """A job goes into the hands of this worker."""
    async with job_manager(books.database) as jobs:
        assert await jobs.fetch_job([ORDERS_QUEUE], worker) is not None


async def named(books: Books) -> list[UUID]:
    """The orders that waiting jobs name, one after the other."""
    return [UUID(text) for job in await order_jobs(books, "todo") for text in job.args["order_ids"]]


async def cut_off_workers(books: Books) -> int:
    """The server ends every connection of every worker; how many there were."""
    ended = await books.ask(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = ANY (%s)",
        THE_WORKERS,
    )
    return len(ended)

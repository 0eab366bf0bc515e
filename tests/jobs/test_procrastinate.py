"""What procrastinate does by itself, and why `app/jobs` does not leave it at that.

Each test shows a weakness that something of ours stands against. One that fails after an upgrade is good news: look
whether what it names is still needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from procrastinate import App, BaseRetryStrategy, PsycopgConnector, RetryStrategy
from procrastinate.exceptions import ConnectorException, UniqueViolation

from app.jobs.app import AT_ONCE
from app.jobs.retry import RetryAlways
from app.storage.database import connect, conninfo
from tests.support.books import Books
from tests.support.wire import wire_to_postgres

from .workers import DEADLINE, until, workers

NEVER = "0 0 1 1 *"  # a periodic task that is only there


@asynccontextmanager
async def bare(conninfo: str, **pool: Any) -> AsyncIterator[App]:
    """The library as it comes."""
    app = App(connector=PsycopgConnector(conninfo=conninfo, min_size=1, max_size=4, timeout=2.0, **pool))
    async with app.open_async():
        yield app


def running(app: App, **options: Any) -> asyncio.Task[None]:
    options = {"update_heartbeat_interval": 0.05, "fetch_job_polling_interval": 0.05} | options
    return asyncio.create_task(app.run_worker_async(install_signal_handlers=False, **options))


async def ended(worker: asyncio.Task[None]) -> None:
    """The worker has ended, however; nobody asked it to."""
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(worker, return_exceptions=True)


async def stopped(worker: asyncio.Task[None]) -> None:
    worker.cancel()
    await ended(worker)


async def status(books: Books, job_id: int) -> str:
    [row] = await books.ask("SELECT status::text FROM procrastinate_jobs WHERE id = %s", job_id)
    return str(row.status)


def becomes(books: Books, job_id: int, wanted: str) -> Callable[[], Awaitable[bool]]:
    async def is_there() -> bool:
        return await status(books, job_id) == wanted

    return is_there


def is_registered(books: Books) -> Callable[[], Awaitable[object]]:
    return lambda: workers(books)


async def nothing() -> None:
    """A task."""


async def tick(timestamp: int) -> None:
    """A periodic one."""


async def test_the_bare_worker_ends_with_the_first_outage(books: Books) -> None:
    """Hence the loop in `Worker.run`."""
    async with wire_to_postgres(books.url) as wire, bare(wire.through(conninfo(books.url, "bare"))) as app:
        app.periodic(cron=NEVER)(app.task(name="tick")(tick))
        worker = running(app)
        await until(is_registered(books))
        wire.cut()
        await ended(worker)
        wire.mend()


@pytest.mark.parametrize("has_periodic_task", [True, False])
async def test_without_a_periodic_task_the_heart_stops_and_nobody_notices(
    books: Books, has_periodic_task: bool
) -> None:
    """Hence the sweep is a periodic task: with one, the worker at least ends, and is started again."""
    async with bare(books.url) as app:
        task = app.task(name="nothing")(nothing)
        if has_periodic_task:
            app.periodic(cron=NEVER)(app.task(name="tick")(tick))
        worker = running(app)
        await until(is_registered(books))
        await books.ask("ALTER FUNCTION procrastinate_update_heartbeat_v1 RENAME TO gone")
        try:

            async def has_stopped() -> bool:
                return "update_heartbeats" not in {task.get_name() for task in asyncio.all_tasks()}

            await until(has_stopped)
        finally:
            await books.ask("ALTER FUNCTION gone RENAME TO procrastinate_update_heartbeat_v1")
        if has_periodic_task:
            await ended(worker)
            return
        [before] = await books.ask("SELECT id, last_heartbeat FROM procrastinate_workers")
        await until(becomes(books, await task.defer_async(), "succeeded"))  # it works, and seems dead
        assert await books.ask("SELECT id, last_heartbeat FROM procrastinate_workers") == [before]
        await stopped(worker)


async def test_nobody_takes_the_job_of_a_worker_that_was_killed(books: Books) -> None:
    """Hence the sweep."""
    async with bare(books.url) as app:
        job_id = await app.task(name="nothing")(nothing).defer_async()
        dead = await books.a_worker()
        assert await app.job_manager.fetch_job(None, dead) is not None
        await books.ask("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 day'")

        await app.run_worker_async(wait=False, install_signal_handlers=False)
        assert await workers(books) == set()  # the dead one is known to be dead
        assert await status(books, job_id) == "doing"


async def test_a_job_whose_end_could_not_be_written_is_lost(books: Books) -> None:
    """Hence an order rests by what the ledger says, and the sweep looks for orders without a live job."""
    async with bare(books.url) as app:

        async def write_nothing() -> None:
            await books.ask("ALTER FUNCTION procrastinate_finish_job_v1 RENAME TO gone")

        lost = await app.task(name="write nothing")(write_nothing).defer_async()
        other = app.task(name="nothing")(nothing)
        worker = running(app)
        try:
            await until(is_gone(books))
            await until(lambda: is_idle(app))
        finally:
            await books.ask("ALTER FUNCTION gone RENAME TO procrastinate_finish_job_v1")
        await until(becomes(books, await other.defer_async(), "succeeded"))
        assert await status(books, lost) == "doing"
        await stopped(worker)


def is_gone(books: Books) -> Callable[[], Awaitable[object]]:
    return lambda: books.ask("SELECT oid FROM pg_proc WHERE proname = 'gone'")


async def is_idle(_app: App) -> bool:
    return not [task for task in asyncio.all_tasks() if task.get_name().startswith("process job")]


@pytest.mark.parametrize(
    ("retry", "ending"),
    [(RetryStrategy(max_attempts=100, retry_exceptions=[Exception]), "aborted"), (RetryAlways(), "todo")],
    ids=["a list of exceptions", "ours"],
)
async def test_a_shutdown_that_is_too_slow_aborts_a_job_for_ever(
    books: Books, retry: BaseRetryStrategy, ending: str
) -> None:
    """Hence a retry strategy of our own."""
    async with bare(books.url) as app:

        async def hang() -> None:
            await asyncio.Event().wait()

        job_id = await app.task(name="hang", retry=retry)(hang).defer_async()
        worker = running(app, shutdown_graceful_timeout=0)
        await until(becomes(books, job_id, "doing"))
        await stopped(worker)
        assert await status(books, job_id) == ending


async def test_autocommit_among_the_pools_arguments_breaks_listen(books: Books) -> None:
    """Hence `configure=` in `Database`."""
    async with bare(books.url, kwargs={"autocommit": True}) as app:

        async def hear(**_: Any) -> None:
            """Nothing."""

        with pytest.raises(TypeError, match="autocommit"):
            await app.job_manager.listen_for_jobs(on_notification=hear)
        await ended(running(app))


async def test_a_worker_that_was_pruned_does_not_notice_until_it_fetches_a_job(books: Books) -> None:
    """Hence a job for everybody every few seconds, and the loop again."""
    async with bare(books.url) as app:
        task = app.task(name="nothing")(nothing)
        worker = running(app)
        await until(is_registered(books))
        [pruned] = await workers(books)
        await books.bury(pruned)
        await app.job_manager.update_heartbeat(pruned)  # no error
        job_id = await task.defer_async()
        await ended(worker)

        error = worker.exception()
        assert isinstance(error, ConnectorException)
        assert isinstance(error.__cause__, psycopg.errors.ForeignKeyViolation)
        assert await status(books, job_id) == "todo"


async def test_a_killed_worker_blocks_everything_behind_its_lock(books: Books) -> None:
    """Hence no lock on order jobs."""
    async with bare(books.url) as app:
        task = app.task(name="nothing", lock="one at a time")(nothing)
        dead = await books.a_worker()
        await task.defer_async()
        assert await app.job_manager.fetch_job(None, dead) is not None
        await books.bury(dead)
        await task.defer_async()
        assert await app.job_manager.fetch_job(None, await books.a_worker()) is None


async def test_a_job_cannot_be_retried_while_another_one_waits_under_its_queueing_lock(books: Books) -> None:
    """Hence no queueing lock on order jobs; of sweeps one is as good as another."""
    async with bare(books.url) as app:
        task = app.task(name="nothing", queueing_lock="one at a time")(nothing)
        await task.defer_async()
        job = await app.job_manager.fetch_job(None, await books.a_worker())
        assert job is not None
        await task.defer_async()
        with pytest.raises(UniqueViolation):
            await app.job_manager.retry_job(job, AT_ONCE)


async def test_a_job_can_be_deferred_in_a_transaction_of_ours(books: Books) -> None:
    """No weakness: all rests on it."""
    async with bare(books.url) as app:
        caller = await connect(conninfo(books.url, "caller"))
        async with caller, caller.transaction(force_rollback=True):
            await app.task(name="nothing")(nothing).configure(connection=caller).defer_async()
    assert await books.ask("SELECT id FROM procrastinate_jobs") == []

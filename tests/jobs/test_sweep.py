"""The sweep: what a dead worker or a lost write left behind is queued again, and nothing else."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any, LiteralString
from uuid import UUID

import psycopg
import pytest
from procrastinate.manager import JobManager

from app.jobs import maintenance
from app.jobs.app import AT_ONCE, MAINTENANCE_QUEUE, enqueue
from app.jobs.maintenance import sweep
from app.jobs.queries import QUERIES
from app.orders.model import new_order_id
from app.storage.database import Database, connect, conninfo
from tests.support.books import Books

from .workers import (
    STALE_SECONDS,
    fetch,
    job_manager,
    lose_jobs,
    lose_waiting_jobs,
    named,
    order_jobs,
    swept,
    until,
)

pytestmark = pytest.mark.usefixtures("grown_up_server")

STALE = dt.timedelta(seconds=STALE_SECONDS)


async def a_job_in_the_hands_of(books: Books, worker: int, order_ids: list[UUID] | None = None) -> Any:
    """An order job that this worker has fetched."""
    await enqueue(books.connection, order_ids or [new_order_id()])
    await fetch(books, worker)
    return (await order_jobs(books, "doing"))[-1]


async def test_the_job_of_a_worker_whose_heart_stopped_is_queued_again(books: Books) -> None:
    job = await a_job_in_the_hands_of(books, await books.a_worker(heartbeat=STALE * 1.1))
    await swept(books)

    [again] = await order_jobs(books)
    assert (again.id, again.args) == (job.id, job.args)
    assert (again.status, again.scheduled_at) == ("todo", AT_ONCE)


async def test_the_job_of_a_worker_that_is_registered_no_more_is_queued_again(books: Books) -> None:
    worker = await books.a_worker()
    job = await a_job_in_the_hands_of(books, worker)
    await books.bury(worker)
    await swept(books)

    assert [again.id for again in await order_jobs(books, "todo")] == [job.id]


async def test_the_job_of_a_live_worker_stays_with_it(books: Books) -> None:
    worker = await books.a_worker(heartbeat=STALE / 2)
    await a_job_in_the_hands_of(books, worker)
    await swept(books)

    assert [job.worker_id for job in await order_jobs(books, "doing")] == [worker]


async def test_a_sweep_that_died_is_in_nobodys_way_while_another_one_waits(books: Books) -> None:
    dead = await books.a_worker(heartbeat=STALE * 1.1)
    await books.ask(
        "INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock, status, worker_id)"
        " VALUES (%s, 'sweep', 'sweep', 'doing', %s), (%s, 'sweep', 'sweep', 'todo', NULL)",
        MAINTENANCE_QUEUE,
        dead,
        MAINTENANCE_QUEUE,
    )
    stalled = await a_job_in_the_hands_of(books, dead, [await books.accept()])
    await lose_waiting_jobs(books)
    lost = await books.accept()
    await lose_waiting_jobs(books)
    await swept(books)

    again, new = await order_jobs(books)
    assert (again.id, again.status) == (stalled.id, "todo")
    assert new.args == {"order_ids": [str(lost)]}


async def test_a_job_that_ends_while_it_is_swept_is_in_nobodys_way(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = await books.a_worker(heartbeat=STALE * 1.1)
    ends = await a_job_in_the_hands_of(books, dead)
    await a_job_in_the_hands_of(books, dead)
    retry = JobManager.retry_job_by_id_async

    async def end_and_retry(jobs: JobManager, job_id: int, *args: Any) -> None:
        await books.ask("DELETE FROM procrastinate_jobs WHERE id = %s", ends.id)
        await retry(jobs, job_id, *args)

    monkeypatch.setattr(JobManager, "retry_job_by_id_async", end_and_retry)
    await swept(books)

    assert [job.status for job in await order_jobs(books)] == ["todo"]


WAITING: LiteralString = (
    "SELECT pid FROM pg_locks JOIN pg_database d ON d.oid = database"
    " WHERE NOT granted AND datname = current_database()"
)
LOCK = QUERIES["lock_sweep"]


@pytest.mark.parametrize(("lock", "number"), [(LOCK, 1), ("SELECT true", 2)], ids=["", "without the lock"])
async def test_of_two_sweeps_at_once_one_queues_what_was_lost(
    books: Books, monkeypatch: pytest.MonkeyPatch, lock: str, number: int
) -> None:
    monkeypatch.setattr(maintenance, "QUERIES", {**QUERIES, "lock_sweep": lock})
    order_id = await books.accept()
    await lose_jobs(books)
    async with (
        Database(conninfo(books.url, "another process")) as another,
        job_manager(books.database) as one,
        job_manager(another) as two,
    ):
        async with books.connection.transaction():
            await books.ask("LOCK TABLE procrastinate_jobs IN SHARE MODE")  # all can read, nobody can write
            sweeps = [
                asyncio.create_task(sweep(database, jobs))
                for database, jobs in ((books.database, one), (another, two))
            ]

            async def are_as_far_as_they_come() -> bool:
                waiting = len(await books.ask(WAITING))
                return waiting == number == 2 - sum(each.done() for each in sweeps)

            await until(are_as_far_as_they_come)
        await asyncio.gather(*sweeps)

    assert await named(books) == [order_id] * number


async def test_a_sweep_leaves_the_work_to_one_that_is_under_way(books: Books) -> None:
    order_id = await books.accept()
    await lose_jobs(books)
    other = await connect(books.url)
    async with other, other.transaction():
        await other.execute(LOCK)
        await swept(books)
        assert await order_jobs(books) == []
    await swept(books)

    assert await named(books) == [order_id]


async def test_a_sweep_that_fails_leaves_nothing_behind_and_its_lock_neither(books: Books) -> None:
    order_id = await books.accept()
    await lose_jobs(books)
    await books.ask("ALTER FUNCTION procrastinate_defer_jobs_v1 RENAME TO gone")
    try:
        with pytest.raises(psycopg.errors.UndefinedFunction):
            await swept(books)
    finally:
        await books.ask("ALTER FUNCTION gone RENAME TO procrastinate_defer_jobs_v1")
    await swept(books)

    assert await named(books) == [order_id]


async def test_no_statistics_make_it_compare_every_order_with_every_job(books: Books) -> None:
    """As those of an empty table did, for the 20,000 orders that came after: it took half a minute then."""
    async with books.connection.transaction():
        await books.ask("SET LOCAL enable_hashjoin = off")
        await books.ask("SET LOCAL enable_mergejoin = off")
        plan = [row[0] for row in await books.ask("EXPLAIN " + QUERIES["orders_without_job"])]
    assert any("orders" in line for line in plan)
    assert [line for line in plan if "Join" in line] == []

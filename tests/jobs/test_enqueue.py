"""Getting orders onto the queue: in the caller's own transaction, due by the database's clock."""

from __future__ import annotations

import datetime as dt

import psycopg
import pytest
from procrastinate.manager import JobManager

from app.jobs.app import AT_ONCE, ORDERS_QUEUE, enqueue
from app.orders.model import new_order_id
from app.storage.database import connect, conninfo
from tests.support.books import Books

from .workers import job_manager, order_jobs, until


async def fetched(jobs: JobManager, worker: int) -> object:
    """The orders of the job that a worker gets now; None when it gets none."""
    job = await jobs.fetch_job([ORDERS_QUEUE], worker)
    return None if job is None else job.task_kwargs["order_ids"]


async def test_a_job_names_its_orders_and_nothing_else(books: Books) -> None:
    orders = [new_order_id() for _ in range(3)]
    await enqueue(books.connection, orders)

    [job] = await order_jobs(books)
    assert job.args == {"order_ids": [str(order_id) for order_id in orders]}
    assert (job.queue_name, job.status, job.scheduled_at) == ("orders", "todo", None)
    assert (job.lock, job.queueing_lock) == (None, None)  # a killed holder would block its followers


async def test_a_job_is_there_when_its_transaction_commits_and_not_before(books: Books) -> None:
    caller = await connect(conninfo(books.url, "caller"))
    async with caller:
        async with caller.transaction():
            await enqueue(caller, [new_order_id()])
            assert await order_jobs(books) == []
        assert len(await order_jobs(books)) == 1


async def test_a_job_is_rolled_back_with_its_transaction(books: Books) -> None:
    async with books.connection.transaction(force_rollback=True):
        await enqueue(books.connection, [new_order_id()])
        assert len(await order_jobs(books)) == 1
    assert await order_jobs(books) == []


async def test_a_job_is_due_by_the_clock_of_the_database(books: Books) -> None:
    order_id, worker = new_order_id(), await books.a_worker()
    [now] = await books.ask("SELECT clock_timestamp() AS time")
    due = now.time + dt.timedelta(milliseconds=200)
    async with job_manager(books.database) as jobs:
        await enqueue(books.connection, [order_id], due)
        assert [job.scheduled_at for job in await order_jobs(books)] == [due]

        async def is_fetched() -> bool:
            return await fetched(jobs, worker) == [str(order_id)]

        await until(is_fetched)
        [now] = await books.ask("SELECT clock_timestamp() AS time")
        assert now.time > due


async def test_a_job_of_tomorrow_waits_and_one_of_long_ago_does_not(books: Books) -> None:
    early, late, worker = new_order_id(), new_order_id(), await books.a_worker()
    async with job_manager(books.database) as jobs:
        [now] = await books.ask("SELECT clock_timestamp() AS time")
        await enqueue(books.connection, [late], now.time + dt.timedelta(days=1))
        await enqueue(books.connection, [early], AT_ONCE)

        assert await fetched(jobs, worker) == [str(early)]
        assert await fetched(jobs, worker) is None


REFUSALS = [
    psycopg.errors.RaiseException,
    psycopg.errors.UniqueViolation,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.DiskFull,
]


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_what_the_database_says_comes_out_as_it_said_it(
    books: Books, refusal: type[psycopg.Error]
) -> None:
    async with books.connection.transaction(force_rollback=True):
        await books.connection.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{refusal.sqlstate}'; END $$;"
            "CREATE TRIGGER refuse BEFORE INSERT ON procrastinate_jobs"
            " FOR EACH ROW EXECUTE FUNCTION refuse()".encode()
        )
        with pytest.raises(refusal) as raised:
            await enqueue(books.connection, [new_order_id()])
    assert raised.type is refusal


async def test_a_connection_that_is_lost_is_said_to_be(books: Books) -> None:
    caller = await connect(conninfo(books.url, "caller"))
    async with caller:
        await books.ask("SELECT pg_terminate_backend(%s, 5000)", caller.info.backend_pid)
        with pytest.raises(psycopg.OperationalError):
            await enqueue(caller, [new_order_id()])


async def test_in_a_transaction_that_has_failed_already_the_database_says_so(books: Books) -> None:
    async with books.connection.transaction(force_rollback=True):
        with pytest.raises(psycopg.errors.DivisionByZero):
            await books.ask("SELECT 1 / 0")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            await enqueue(books.connection, [new_order_id()])

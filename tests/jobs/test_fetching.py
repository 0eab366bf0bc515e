"""Fetching asks no more often than it has to, and never overlooks a job that has been told of."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from procrastinate.jobs import Status as JobStatus

from app.errors import StorageUnavailable
from app.jobs.app import ORDERS_QUEUE, enqueue
from app.orders.lifecycle import Status
from app.orders.model import new_order_id
from tests.support.books import Books, a_move

from .desk import QUEUES, a_desk
from .workers import order_jobs, until


async def test_the_last_job_says_that_nothing_is_left(books: Books) -> None:
    worker = await books.a_worker()
    async with a_desk(books) as (manager, fetcher, _):
        for _ in range(2):
            await enqueue(books.connection, [new_order_id()])
        fetched = [await manager.fetch_job(QUEUES, worker) for _ in range(3)]

        assert [job is not None for job in fetched] == [True, True, False]
        assert fetcher.asked == 2
        # Asked again later, it looks again.
        await enqueue(books.connection, [new_order_id()])
        assert await manager.fetch_job(QUEUES, worker) is not None
        assert fetcher.asked == 3


async def test_news_since_the_last_job_is_looked_after_at_once(books: Books) -> None:
    worker = await books.a_worker()
    heard: list[str] = []

    async def on_notification(*, channel: str, notification: Any) -> None:
        heard.append(f"{channel} {notification['type']}")

    async with a_desk(books) as (manager, _, connector):
        await manager.listen_for_jobs(on_notification=on_notification, queues=QUEUES)
        await enqueue(books.connection, [new_order_id()])
        assert await manager.fetch_job(QUEUES, worker) is not None
        await enqueue(books.connection, [new_order_id()])
        await connector.tell(channel="orders", payload=json.dumps({"type": "job_inserted", "job_id": 1}))

        assert await manager.fetch_job(QUEUES, worker) is not None
        assert heard == ["orders job_inserted"]


async def test_news_that_come_while_nothing_is_found_are_looked_after_at_once(books: Books) -> None:
    worker = await books.a_worker()

    async def on_notification(**_: Any) -> None:
        pass  # procrastinate's worker forgets by the next line what it heard meanwhile

    async with a_desk(books) as (manager, fetcher, connector):
        await manager.listen_for_jobs(on_notification=on_notification, queues=QUEUES)

        async def come() -> None:
            await enqueue(books.connection, [new_order_id()])
            await connector.tell(channel="orders", payload=json.dumps({"type": "job_inserted", "job_id": 1}))

        fetcher.after_the_first = come
        assert await manager.fetch_job(QUEUES, worker) is not None
        assert fetcher.asked == 2


async def test_a_job_that_is_not_due_yet_is_not_said_to_be_left(books: Books) -> None:
    worker = await books.a_worker()
    async with a_desk(books) as (manager, fetcher, _):
        await enqueue(books.connection, [new_order_id()])
        await books.ask(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, scheduled_at)"
            " VALUES (%s, 'later', now() + interval '1 hour')",
            ORDERS_QUEUE,
        )
        assert await manager.fetch_job(QUEUES, worker) is not None
        assert await manager.fetch_job(QUEUES, worker) is None
        assert fetcher.asked == 1


async def test_jobs_that_end_together_are_deleted_together_and_one_that_is_gone_hurts_no_other(
    books: Books,
) -> None:
    worker = await books.a_worker()
    async with a_desk(books) as (manager, *_):
        for _ in range(5):
            await enqueue(books.connection, [new_order_id()])
        jobs = [job for _ in range(5) if (job := await manager.fetch_job(QUEUES, worker))]
        await books.ask("DELETE FROM procrastinate_jobs WHERE id = %s", jobs[2].id)

        await asyncio.gather(*(manager.finish_job(job, JobStatus.SUCCEEDED, delete_job=True) for job in jobs))

        async def none_is_left() -> bool:
            return await order_jobs(books) == []

        await until(none_is_left)


async def test_a_deletion_whose_answer_is_lost_is_tried_again(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = await books.a_worker()
    lost: list[int] = []
    async with a_desk(books) as (manager, *_):
        await enqueue(books.connection, [new_order_id()])
        job = await manager.fetch_job(QUEUES, worker)
        assert job is not None
        delete = manager._finished._lane.submit

        async def lose_the_first(job_id: int) -> None:
            if not lost:
                lost.append(job_id)
                raise StorageUnavailable("the connection is lost")
            await delete(job_id)

        monkeypatch.setattr(manager._finished._lane, "submit", lose_the_first)
        await manager.finish_job(job, JobStatus.SUCCEEDED, delete_job=True)

    assert lost == [job.id]
    assert await order_jobs(books) == []


async def test_procrastinate_keeps_no_history_of_jobs(books: Books) -> None:
    worker = await books.a_worker()
    async with a_desk(books) as (manager, *_):
        await enqueue(books.connection, [new_order_id()])
        assert await manager.fetch_job(QUEUES, worker) is not None

        assert await books.ask("SELECT * FROM procrastinate_events") == []


async def test_an_order_that_is_due_again_does_not_wait_behind_the_backlog(books: Books) -> None:
    worker = await books.a_worker()
    claimed = await books.bring_to(Status.SUBMITTED)
    await books.ask("DELETE FROM procrastinate_jobs")
    for _ in range(3):
        await books.accept()
    await books.ledger.move(a_move(claimed, Status.RETRYING, delay_ms=0))

    async with a_desk(books) as (manager, *_):
        job = await manager.fetch_job(QUEUES, worker)

    assert job is not None
    assert job.task_kwargs == {"order_ids": [str(claimed.order.id)]}


async def test_a_job_does_not_describe_all_that_it_names(books: Books) -> None:
    worker, order_id = await books.a_worker(), new_order_id()
    async with a_desk(books) as (manager, *_):
        await enqueue(books.connection, [order_id])
        job = await manager.fetch_job(QUEUES, worker)

    assert job is not None
    assert job.task_kwargs == {"order_ids": [str(order_id)]}
    assert job.call_string == f"execute_orders[{job.id}]"
    assert str(order_id) not in str(job.log_context())

"""A worker takes as many orders as it has room for; the others are for others."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from app.jobs import tasks
from app.jobs.app import MAINTENANCE_QUEUE, ORDERS_QUEUE, enqueue
from app.jobs.maintenance import sweep
from app.orders.model import new_order_id
from tests.support.books import Books
from tests.support.checker import violations

from .desk import QUEUES, Room, a_desk
from .workers import Sweeps, order_jobs, place, serving, settings, until

LONG = 20_000  # milliseconds; as the test sees it, its orders never end


async def test_without_room_a_worker_fetches_maintenance_and_nothing_else(books: Books) -> None:
    worker, room = await books.a_worker(), Room()
    room.is_there = False
    async with a_desk(books, room) as (manager, *_):
        await enqueue(books.connection, [new_order_id()])
        await books.ask(
            "INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES (%s, 'sweep')", MAINTENANCE_QUEUE
        )
        fetched = [await manager.fetch_job(QUEUES, worker) for _ in range(2)]
        assert [job and job.queue for job in fetched] == [MAINTENANCE_QUEUE, None]

        room.is_there = True
        job = await manager.fetch_job(QUEUES, worker)
        assert job is not None
        assert job.queue == ORDERS_QUEUE


async def holders(books: Books) -> Counter[Any]:
    """How many orders each worker holds; None: how many nobody does."""
    return Counter(row.claimed_by for row in await books.ask("SELECT claimed_by FROM orders"))


@pytest.mark.usefixtures("_quick")
async def test_what_a_full_worker_leaves_another_one_takes(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeps = Sweeps(sweep)
    monkeypatch.setattr(tasks, "sweep", sweeps)
    async with serving(settings(books, worker_concurrency=2, mock_dex_execution_delay_ms=LONG)) as full:
        await place(books, 6, apart=True)

        async def have_swept(rounds: int) -> bool:
            return sweeps.rounds >= rounds and full._engine.in_flight >= 2

        await until(lambda: have_swept(1))
        before = sweeps.rounds
        await until(lambda: have_swept(before + 2))  # it is full, and goes on with maintenance
        assert full._engine.in_flight == 2
        assert [job.status for job in await order_jobs(books)] == ["doing"] * 2 + ["todo"] * 4
        assert sorted((await holders(books)).values()) == [2, 4]

        async with serving(settings(books, worker_concurrency=10, mock_dex_execution_delay_ms=LONG)):
            await until(lambda: nobody_waits(books))
            assert sorted((await holders(books)).values()) == [2, 4]
            assert full._engine.in_flight == 2
    assert await holders(books) == {None: 6}
    assert await violations(books.url, unfinished_is_fine=True) == {}


async def nobody_waits(books: Books) -> bool:
    return (await holders(books))[None] == 0


@pytest.mark.usefixtures("_quick")
async def test_a_worker_works_off_more_than_it_has_room_for(books: Books) -> None:
    await place(books, 30)  # one job alone is more than there is room for
    await place(books, 10, apart=True)
    most = 0
    async with serving(settings(books, worker_concurrency=3, mock_dex_execution_delay_ms=20)):

        async def have_ended() -> bool:
            nonlocal most
            held = await books.ask("SELECT claimed_by FROM orders WHERE claimed_by IS NOT NULL")
            most = max(most, len(held))
            return not await books.ask("SELECT id FROM orders WHERE is_open")

        await until(have_ended)
    assert 1 <= most <= 3
    assert await violations(books.url) == {}

"""QUEUE_MAX_PER_MIN: how many orders all workers together start, or with no Redis each of them."""

from __future__ import annotations

from uuid import UUID

import pytest

from app.execution import limits
from app.jobs.worker import Worker
from app.storage import redis_guard
from tests.support.books import Books
from tests.support.checker import violations

from .workers import all_ended, number_held, order_jobs, place, serving, settings, statuses, until

pytestmark = pytest.mark.usefixtures("_quick")

LIMIT = 4
ORDERS = 16


class Admissions:
    """Counts what a worker's engine was answered when it asked whether the next order may start."""

    def __init__(self, worker: Worker) -> None:
        self._ask = worker._engine._admit
        worker._engine._admit = self
        self.granted = 0
        self.refused = 0

    async def __call__(self, order_id: UUID) -> float:
        seconds = await self._ask(order_id)
        if seconds:
            assert 1 <= seconds <= limits.WINDOW
            self.refused += 1
        else:
            self.granted += 1
        return seconds


@pytest.mark.parametrize(
    ("shared", "started"), [(True, LIMIT), (False, 2 * LIMIT)], ids=["Redis", "no Redis"]
)
async def test_no_more_orders_start_than_may(
    books: Books, redis_url: str, monkeypatch: pytest.MonkeyPatch, shared: bool, started: int
) -> None:
    monkeypatch.setattr(redis_guard, "TICKS", 1000)  # on a busy machine Redis, too, is slow
    limited = settings(
        books,
        redis_url=redis_url if shared else "",
        queue_max_per_min=LIMIT,
        worker_concurrency=ORDERS // 2,
    )
    async with serving(limited) as one, serving(limited) as two:
        admissions = [Admissions(worker) for worker in (one, two)]
        await place(books, ORDERS, apart=True)

        async def have_all_asked() -> bool:
            return (
                sum(each.granted for each in admissions) == started
                and (await statuses(books)).get("confirmed") == started
                # What has ended made room: the others all wait for their time.
                and one._engine.in_flight + two._engine.in_flight == ORDERS - started
                and sum(each.refused for each in admissions) > 0
            )

        await until(have_all_asked)
        assert await statuses(books) == {"confirmed": started, "pending": ORDERS - started}
    # Stopped while they waited: they go back to the queue, and may start elsewhere.
    assert len(await order_jobs(books, "todo")) == ORDERS - started
    assert await number_held(books) == 0
    async with serving(settings(books)):
        await until(lambda: all_ended(books))
    assert await violations(books.url) == {}


async def test_orders_that_had_to_wait_start_when_their_time_has_come(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WINDOW", 1)
    async with serving(settings(books, queue_max_per_min=LIMIT)) as worker:
        admissions = Admissions(worker)
        await place(books, 3 * LIMIT)
        await until(lambda: all_ended(books))

    assert (admissions.granted, admissions.refused > 0) == (3 * LIMIT, True)
    assert await violations(books.url) == {}

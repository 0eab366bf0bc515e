"""Stopping a worker: in bounded time, with every order back on the queue, and without harm to any."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.execution import steps
from app.jobs import worker as jobs_worker
from app.orders.model import SignedTransaction
from app.runtime import open_worker
from app.venues.simulated.venue import SimulatedVenue
from tests.support.books import Books
from tests.support.checker import violations

from .workers import all_ended, number_held, order_jobs, place, serving, settings, statuses, until, workers

pytestmark = pytest.mark.usefixtures("_quick")

IN_TIME = 20.0  # seconds: more than a stop takes on a busy machine, and less than it may take here


@pytest.fixture(autouse=True)
def nothing_is_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_worker, "DRAIN_SECONDS", 3600.0)
    monkeypatch.setattr(jobs_worker, "STOP_SECONDS", 3600.0)


async def test_a_worker_that_is_stopped_under_load_hands_everything_back(books: Books) -> None:
    slow = settings(
        books, mock_dex_quote_delay_ms=150, mock_dex_execution_delay_ms=5000, worker_concurrency=50
    )
    async with open_worker(slow) as worker:
        running = asyncio.create_task(worker.run())
        await place(books, 15)
        await place(books, 15, apart=True)
        await until(lambda: are_at(books, submitted=30))
        await place(books, 15)
        await place(books, 15, apart=True)
        await until(lambda: are_at(books, routing=1))

        worker.stop()
        async with asyncio.timeout(IN_TIME):  # it had not to be forced
            await running
        # At this moment, not when all is closed.
        assert await number_held(books) == 0
        assert await workers(books) == set()
    assert {job.status for job in await order_jobs(books)} == {"todo"}
    assert await are_at(books, submitted=1)  # it did not wait for them

    async with serving(settings(books)):
        await until(lambda: all_ended(books))
    assert await statuses(books) == {"confirmed": 60}
    assert await books.ask("SELECT id FROM orders WHERE deaths > 0") == []
    assert await violations(books.url) == {}


async def are_at(books: Books, **numbers: int) -> bool:
    now = await statuses(books)
    return all(now.get(status, 0) >= number for status, number in numbers.items())


async def test_a_worker_without_work_stops_at_once(books: Books) -> None:
    async with open_worker(settings(books)) as worker:
        running = asyncio.create_task(worker.run())
        await until(lambda: is_registered(books))
        worker.stop()
        async with asyncio.timeout(IN_TIME):
            await running
    assert await workers(books) == set()


async def is_registered(books: Books) -> bool:
    return bool(await workers(books))


async def test_a_worker_that_was_stopped_before_it_ran_does_not_begin(books: Books) -> None:
    async with open_worker(settings(books)) as worker:
        worker.stop()
        async with asyncio.timeout(IN_TIME):
            await worker.run()


class Hanging:
    """A venue's `build` that does not come back by itself, and perhaps not even when it is cancelled."""

    def __init__(self, *, is_stubborn: bool) -> None:
        self.let_go = asyncio.Event()
        self._is_stubborn = is_stubborn

    async def build(self, *_: Any) -> SignedTransaction:
        while not self.let_go.is_set():
            try:
                await self.let_go.wait()
            except asyncio.CancelledError:
                if not self._is_stubborn:
                    raise
        raise RuntimeError("too late")


@pytest.fixture
def hanging(
    nothing_is_forced: None, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Hanging]:
    hanging = Hanging(is_stubborn=request.param)
    monkeypatch.setattr(SimulatedVenue, "build", hanging.build)
    monkeypatch.setattr(steps, "BUILD_SECONDS", 3600.0)
    monkeypatch.setattr(jobs_worker, "DRAIN_SECONDS", 0.2)
    monkeypatch.setattr(jobs_worker, "STOP_SECONDS", 1.0 if request.param else 3600.0)
    yield hanging
    hanging.let_go.set()


@pytest.mark.parametrize("hanging", [False], indirect=True, ids=[""])
async def test_orders_that_hang_in_a_venue_are_handed_back_all_the_same(
    books: Books, hanging: Hanging
) -> None:
    async with open_worker(settings(books)) as worker:
        running = asyncio.create_task(worker.run())
        await place(books, 3)
        await until(lambda: are_at(books, building=3))
        worker.stop()
        async with asyncio.timeout(IN_TIME):
            await running
        assert await number_held(books) == 0
    assert [(job.status, job.attempts) for job in await order_jobs(books)] == [("todo", 1)]
    assert await books.ask("SELECT id FROM orders WHERE deaths > 0") == []


@pytest.mark.parametrize("hanging", [True], indirect=True, ids=[""])
async def test_a_venue_that_will_not_be_cancelled_cannot_hold_up_the_stop(
    books: Books, hanging: Hanging
) -> None:
    with capture_logs() as logs:
        async with open_worker(settings(books)) as worker:
            running = asyncio.create_task(worker.run())
            await place(books, 1)
            await until(lambda: are_at(books, building=1))
            worker.stop()
            async with asyncio.timeout(IN_TIME):
                await running
            assert "worker.stop_timed_out" in [entry["event"] for entry in logs]
            hanging.let_go.set()

            async def is_queued_again() -> bool:
                return [job.status for job in await order_jobs(books)] == ["todo"]

            await until(is_queued_again)

"""The worker day by day: orders end, retries run when they are due, and what was lost is found."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any
from uuid import UUID

import pytest
from procrastinate.manager import JobManager

from app.jobs import tasks, worker
from app.jobs.maintenance import sweep
from app.orders.lifecycle import Status
from app.orders.model import SignedTransaction
from app.storage.database import Database
from app.venues.simulated.venue import SimulatedVenue
from tests.builders import a_request
from tests.support.books import Books
from tests.support.checker import violations

from .workers import (
    GENEROUS,
    Sweeps,
    all_ended,
    lose_jobs,
    number_held,
    order_jobs,
    place,
    serving,
    settings,
    statuses,
    until,
    workers,
)

pytestmark = pytest.mark.usefixtures("_quick")


@pytest.fixture
def no_sweep(monkeypatch: pytest.MonkeyPatch) -> Sweeps:
    sweeps = Sweeps()
    monkeypatch.setattr(tasks, "sweep", sweeps)
    monkeypatch.setattr(worker, "sweep", sweeps)
    return sweeps


async def all_ended_well(books: Books) -> None:
    await until(lambda: all_ended(books))
    assert set(await statuses(books)) == {"confirmed"}
    assert await violations(books.url) == {}


async def test_orders_end_and_leave_no_job_behind(books: Books) -> None:
    await place(books, 20)
    async with serving(settings(books)):
        await place(books, 10, apart=True)
        await all_ended_well(books)

        async def are_deleted() -> bool:
            return await order_jobs(books) == []

        await until(are_deleted)
    left = await books.ask("SELECT task_name, status FROM procrastinate_jobs")
    assert left in ([], [("sweep", "todo")])
    assert await number_held(books) == 0
    assert await workers(books) == set()


async def test_retries_run_when_they_are_due(books: Books, no_sweep: Sweeps) -> None:
    async with serving(settings(books, mock_dex_failure_rate=1.0)):
        orders = await place(books, 3)
        await until(lambda: all_ended(books))

    assert await statuses(books) == {"failed": 3}
    assert await violations(books.url) == {}
    for order_id in orders:
        rows = await books.ask(
            "SELECT status::text, at, data ->> 'nextAttemptAt' AS due FROM order_events WHERE order_id = %s ORDER BY sequence",
            order_id,
        )
        begun = [row.at for row in rows if row.status == "routing"]
        due = [dt.datetime.fromisoformat(row.due) for row in rows if row.status == "retrying"]
        assert (len(begun), len(due)) == (3, 2)
        for begin, time in zip(begun[1:], due, strict=True):
            # Late by a poll or two, on a busy machine; that a sweep looked at it was ruled out.
            assert time <= begin < time + dt.timedelta(seconds=20)


async def an_orphan(books: Books) -> UUID:
    """An order that was queued, and whose job was lost."""
    order_id = await books.accept(a_request(slippage_bps=GENEROUS), queue=False)
    await books.ask("UPDATE orders SET queued_at = now() WHERE id = %s", order_id)
    return order_id


async def test_lost_orders_are_found_when_a_worker_starts(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "sweep", Sweeps())
    await an_orphan(books)
    async with serving(settings(books)):
        await all_ended_well(books)


async def test_lost_orders_are_found_while_a_worker_serves(books: Books) -> None:
    async with serving(settings(books)):
        await until(lambda: workers(books))
        await an_orphan(books)
        await all_ended_well(books)


async def test_without_the_sweep_a_lost_order_stays_lost(books: Books, no_sweep: Sweeps) -> None:
    """So it is the sweep that finds it, and nothing else."""
    orphans = [await an_orphan(books)]
    async with serving(settings(books)):
        orphans.append(await an_orphan(books))
        other = await books.accept(a_request(slippage_bps=GENEROUS))

        async def has_gone_by() -> bool:
            return no_sweep.rounds >= 4 and await books.status(other) == "confirmed"

        await until(has_gone_by)
        assert [await books.status(order_id) for order_id in orphans] == ["pending", "pending"]


async def test_a_retry_whose_job_was_lost_runs_when_it_is_due(books: Books) -> None:
    order_id = (await books.bring_to(Status.RETRYING)).order.id
    await lose_jobs(books)
    async with serving(settings(books)) as worker:

        async def is_looked_at() -> bool:
            return bool(worker._engine.workers) and await order_jobs(books) == []

        await until(is_looked_at)
        assert await books.status(order_id) == "retrying"
        await books.make_due(order_id)
        await until(lambda: all_ended(books))
    statuses = [event.status for event in await books.events(order_id)]
    assert statuses[:6] == ["pending", "routing", "building", "submitted", "retrying", "routing"]
    assert await violations(books.url) == {}


async def test_a_sweep_that_fails_is_over_and_the_next_one_may_succeed(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = 0

    async def fail_at_first(database: Database, jobs: JobManager) -> None:
        nonlocal rounds
        rounds += 1
        if rounds < 3:
            raise RuntimeError("a fault")
        await sweep(database, jobs)

    monkeypatch.setattr(tasks, "sweep", fail_at_first)
    async with serving(settings(books)):
        await until(lambda: workers(books))
        await an_orphan(books)

        async def is_found_without_a_retry() -> bool:
            # At once again, and again, it would keep the worker busy; and not at all, while the next one waits.
            assert await books.ask("SELECT id FROM procrastinate_jobs WHERE attempts > 0") == []
            return await all_ended(books)

        await until(is_found_without_a_retry)
    assert rounds >= 3


@pytest.mark.parametrize("fault", [RuntimeError("a fault of the venue's client"), asyncio.CancelledError()])
async def test_an_order_that_broke_the_engine_is_looked_at_again(
    books: Books, no_sweep: Sweeps, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    build = SimulatedVenue.build
    broken: list[Any] = []

    async def break_once(venue: SimulatedVenue, *arguments: Any) -> SignedTransaction:
        if not broken:
            broken.append(arguments)
            raise fault
        return await build(venue, *arguments)

    monkeypatch.setattr(SimulatedVenue, "build", break_once)
    async with serving(settings(books)):
        await place(books, 5)
        await all_ended_well(books)

    deaths = await books.ask("SELECT deaths FROM orders ORDER BY 1")
    assert [row.deaths for row in deaths] == [0, 0, 0, 0, 1]

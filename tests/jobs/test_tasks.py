"""The task: the orders of one batch are driven side by side, each at its own pace."""

from __future__ import annotations

import asyncio

import pytest

from app.jobs import tasks
from app.jobs.worker import STOP_SECONDS, Worker
from tests.execution.driving import Driver
from tests.execution.paper import Fate, PaperChain, PaperVenue, has_been_called
from tests.support.books import Books
from tests.support.checker import violations

from .workers import order_jobs, place, until


async def test_an_order_that_broke_the_engine_does_not_wait_for_the_slowest_of_its_batch(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "FAILURE_PAUSE", 0.05)
    slow, broken = await place(books, 2)
    assert len(await order_jobs(books)) == 1
    chain = PaperChain()
    chain.fates.append(Fate.LINGER)  # of whichever is sent first: the other one breaks the engine before
    venue = PaperVenue("raydium", chain, 204_487_500, 25)
    venue.fail("build", RuntimeError("a fault of the venue's client"), times=1)
    worker = Worker(Driver(books, [venue]).engine, books.database, concurrency=10)
    running = asyncio.create_task(worker.run())
    try:
        await has_been_called(venue, "status", times=2)

        async def one_has_ended() -> bool:
            return sorted([await books.status(slow), await books.status(broken)]) == [
                "confirmed",
                "submitted",
            ]

        await until(one_has_ended)  # while the other one is in flight, and their job with it
        assert len(await order_jobs(books, "doing")) == 1
        chain.land_what_lingers()

        async def their_job_has_ended() -> bool:
            return await order_jobs(books) == []

        await until(their_job_has_ended)
    finally:
        worker.stop()
        async with asyncio.timeout(STOP_SECONDS + 1):
            await running
    assert await violations(books.url, landed=chain.landed) == {}

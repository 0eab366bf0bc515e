"""The worker without its database: for a moment, for a while, or forgotten by it. Nobody has to help."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from psycopg_pool.base import AttemptWithBackoff
from structlog.testing import capture_logs

from app.jobs import worker
from app.storage import database, line
from app.storage.database import conninfo
from tests.support.books import Books
from tests.support.checker import violations
from tests.support.wire import Wire, wire_to_postgres

from .workers import (
    DEADLINE,
    THE_WORKERS,
    all_ended,
    cut_off_workers,
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


@pytest.fixture(autouse=True)
def _short_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "CHECKOUT_SECONDS", 2.0)
    monkeypatch.setattr(line, "OUTAGE_GRACE", 0.3)
    monkeypatch.setattr(AttemptWithBackoff, "INITIAL_DELAY", 0.1)
    monkeypatch.setattr(worker, "LAST_BACKOFF", 0.3)
    monkeypatch.setattr(worker, "DRAIN_SECONDS", 0.5)


@pytest.fixture
async def wire(books: Books) -> AsyncIterator[Wire]:
    async with wire_to_postgres(books.url) as wire:
        yield wire


async def number_of_deaths(books: Books) -> int:
    """How many workers died with an order, as far as the ledger knows."""
    [row] = await books.ask("SELECT sum(deaths)::integer AS number FROM orders")
    return int(row.number)


async def beats(books: Books) -> bool:
    """Whether a heart beats: it is heard twice, at different times."""
    heard: dict[int, Any] = {}

    async def is_heard_again() -> bool:
        rows = await books.ask("SELECT id, last_heartbeat FROM procrastinate_workers")
        return any(heard.setdefault(row.id, row.last_heartbeat) < row.last_heartbeat for row in rows)

    await until(is_heard_again)
    return True


async def test_a_worker_survives_the_loss_of_all_its_connections_in_the_middle_of_orders(
    books: Books,
) -> None:
    slow = settings(books, mock_dex_quote_delay_ms=100, mock_dex_execution_delay_ms=400)
    async with serving(slow):
        for _ in range(3):
            await place(books, 10)
            await place(books, 5, apart=True)

            async def are_on_their_way() -> bool:
                now = await statuses(books)
                return now.get("routing", 0) > 0 or now.get("submitted", 0) > 0

            await until(are_on_their_way)
            await until(lambda: are_connected(books))
            await cut_off_workers(books)
        await until(lambda: all_ended(books))
        assert await beats(books)

        await place(books, 5)
        await until(lambda: all_ended(books))
    assert sum((await statuses(books)).values()) == 50
    assert await violations(books.url) == {}
    assert await number_of_deaths(books) == 0


async def are_connected(books: Books) -> bool:
    """Whether the workers have connections of every kind."""
    connected = await books.ask(
        "SELECT application_name FROM pg_stat_activity WHERE datname = current_database()"
    )
    return {row.application_name for row in connected}.issuperset(THE_WORKERS)


async def test_a_worker_serves_whenever_its_database_is_there(books: Books, wire: Wire) -> None:
    """It need not be there when the worker starts; and after an outage the heart beats again."""
    wire.cut()
    there = settings(books, mock_dex_execution_delay_ms=300)
    through = msgspec.structs.replace(there, database_url=wire.through(conninfo(books.url, "worker")))
    with capture_logs() as logs:
        async with serving(through):
            await until(lambda: is_lost(logs, times=2))
            wire.mend()
            await place(books, 5)
            await until(lambda: is_under_way(books))

            before = await workers(books)
            wire.cut()
            logs.clear()
            await until(lambda: is_lost(logs))
            # So long that its former self counts as dead.
            await books.ask("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute'")
            wire.mend()
            await until(lambda: all_ended(books))
            assert await beats(books)
            assert await workers(books) - before
    assert await statuses(books) == {"confirmed": 5}
    assert await number_of_deaths(books) == 0  # it was away, not dead
    assert await violations(books.url) == {}


async def is_lost(logs: list[Any], *, times: int = 1) -> bool:
    """Whether the worker has said that it lost its database."""
    return [entry["event"] for entry in logs].count("worker.lost") >= times


async def is_under_way(books: Books) -> bool:
    return await number_held(books) > 0


async def test_a_worker_that_is_taken_for_dead_comes_back_under_a_new_number(books: Books) -> None:
    async with serving(settings(books)):
        await until(lambda: workers_are(books, 1))
        pruned = max(await workers(books))
        await books.bury(pruned)

        async def is_back() -> bool:
            return bool(await workers(books) - {pruned})

        await until(is_back)
        assert await beats(books)
        await place(books, 3)
        await until(lambda: all_ended(books))
    assert await statuses(books) == {"confirmed": 3}


async def workers_are(books: Books, number: int) -> bool:
    return len(await workers(books)) == number


async def test_a_worker_that_is_taken_for_dead_at_work_loses_no_order_and_counts_no_death(
    books: Books,
) -> None:
    async with serving(settings(books, mock_dex_execution_delay_ms=5000)):
        await place(books, 5)
        await place(books, 5, apart=True)
        await until(lambda: are_submitted(books, 10))
        pruned = max(await workers(books))
        await books.bury(pruned)
        await until(lambda: all_ended(books))

        async def are_deleted() -> bool:
            return await order_jobs(books) == []

        await until(are_deleted)
    assert await statuses(books) == {"confirmed": 10}
    assert await number_of_deaths(books) == 0
    assert await violations(books.url) == {}


async def are_submitted(books: Books, number: int) -> bool:
    return (await statuses(books)).get("submitted", 0) == number


async def test_stopping_takes_no_database(books: Books, wire: Wire) -> None:
    through = settings(books, database_url=wire.through(conninfo(books.url, "worker")))
    async with asyncio.timeout(DEADLINE):
        async with serving(through):
            await until(lambda: workers_are(books, 1))
            wire.cut()
        wire.mend()

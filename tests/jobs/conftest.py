from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from app.jobs import tasks, worker
from tests.support.books import Books
from tests.support.servers import Servers, fresh_database

from .workers import STALE_SECONDS, until


@pytest.fixture(scope="module")
def shared_database_url(server_urls: Servers, migrated_template: str) -> Iterator[str]:
    """A migrated database for the tests of a module, one after the other."""
    with fresh_database(server_urls.database_url, template=migrated_template) as url:
        yield url


@pytest.fixture
async def books(shared_database_url: str) -> AsyncIterator[Books]:
    """The books without a single order, job or worker."""
    async with Books(shared_database_url) as books:
        await books.ask("TRUNCATE orders, order_events, procrastinate_jobs, procrastinate_workers CASCADE")
        await books.ask("TRUNCATE simulated_chain.transactions, simulated_chain.markets CASCADE")
        yield books


@pytest.fixture
async def grown_up_server(books: Books) -> None:
    """A server that is up for so long that its start counts as nobody's heartbeat any more."""

    async def is_up_for_long() -> bool:
        [row] = await books.ask(
            "SELECT clock_timestamp() - pg_postmaster_start_time() > %s * interval '1 second' AS is_long",
            STALE_SECONDS,
        )
        return bool(row.is_long)

    await until(is_up_for_long)


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that look after things more often than they have to."""
    monkeypatch.setattr(tasks, "SWEEP_CRON", "* * * * * *")
    monkeypatch.setattr(worker, "HEARTBEAT_SECONDS", 0.2)
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.1)

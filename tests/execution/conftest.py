from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from app.execution import settlement
from tests.execution.paper import PaperChain
from tests.support.books import Books
from tests.support.servers import Servers, fresh_database


@pytest.fixture(scope="module")
def shared_database_url(server_urls: Servers, migrated_template: str) -> Iterator[str]:
    """A migrated database for tests that keep to orders of their own."""
    with fresh_database(server_urls.database_url, template=migrated_template) as url:
        yield url


@pytest.fixture
async def books(shared_database_url: str) -> AsyncIterator[Books]:
    async with Books(shared_database_url) as books:
        yield books


@pytest.fixture
def chain() -> PaperChain:
    return PaperChain()


@pytest.fixture
def _resend_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settlement, "RESEND_SECONDS", 0)

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from app.settings import Settings
from app.storage import redis_guard
from app.storage.database import connect
from tests.stream.support import Orders
from tests.support.servers import Servers, fresh_database

from .support import Api, a_settings, running_api


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that is busy testing, 50 ms may not be enough for Redis; what is exact is so while it answers."""
    monkeypatch.setattr(redis_guard, "TICKS", 500)


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return a_settings(database_url, redis_url)


@pytest.fixture
def another_database_url(server_urls: Servers, migrated_template: str) -> Iterator[str]:
    with fresh_database(server_urls.database_url, template=migrated_template) as url:
        yield url


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[Api]:
    """An API without a limit, and no worker behind it: orders stay as the test leaves them."""
    async with running_api(settings) as api:
        yield api


@pytest.fixture
async def orders(database_url: str) -> AsyncIterator[Orders]:
    """Moves orders as the engine does."""
    connection = await connect(database_url)
    yield Orders(connection)
    await connection.close()

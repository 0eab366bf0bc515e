from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

from tests.storage.lanes import Lane
from tests.support.books import Books
from tests.support.servers import Servers, fresh_database


@pytest.fixture(scope="module")
def shared_database_url(server_urls: Servers, migrated_template: str) -> Iterator[str]:
    """A migrated database for tests that keep to orders of their own."""
    with fresh_database(server_urls.database_url, template=migrated_template) as url:
        yield url


@pytest.fixture
def lane(shared_database_url: str) -> Lane:
    """A lane, not open yet, with nothing written."""
    with psycopg.connect(shared_database_url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS written")
        connection.execute(
            "CREATE TABLE written (value text UNIQUE, number bigint GENERATED ALWAYS AS IDENTITY)"
        )
    return Lane(shared_database_url)


@pytest.fixture
async def books(shared_database_url: str) -> AsyncIterator[Books]:
    async with Books(shared_database_url) as books:
        yield books

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.storage.database import Database, connect, conninfo
from app.storage.reader import OrderReader
from app.stream.hub import Hub
from tests.support.wire import Wire, wire_to_postgres

from .support import Orders, an_order_reader

NEVER = 3600.0  # a sweep that cannot help: what arrives, arrived by other ways


@pytest.fixture
async def orders(database_url: str) -> AsyncIterator[Orders]:
    connection = await connect(database_url)
    yield Orders(connection)
    await connection.close()


@pytest.fixture
async def reader(database_url: str) -> AsyncIterator[OrderReader]:
    async with Database(conninfo(database_url, "test")) as database:
        yield an_order_reader(database)


@pytest.fixture
async def hub(database_url: str, reader: OrderReader) -> AsyncIterator[Hub]:
    async with Hub(conninfo(database_url, "listen"), reader, sweep_every=NEVER) as hub:
        yield hub


@pytest.fixture
async def wire(database_url: str) -> AsyncIterator[Wire]:
    async with wire_to_postgres(database_url) as wire:
        yield wire

"""A watcher that comes while its order is being read for the others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

from structlog.testing import capture_logs

from app.orders.model import OrderEvent
from app.storage.database import conninfo
from app.storage.reader import OrderReader
from app.stream.hub import Hub

from .conftest import NEVER
from .support import HAPPY_WAY, Orders, an_order_reader, transcript


class _HeldReader(OrderReader):
    """Keeps what it has read to itself until told otherwise."""

    def __init__(self, reader: OrderReader) -> None:
        super().__init__(reader._database, reader._sessions)
        self.has_read = asyncio.Event()
        self.may_tell = asyncio.Event()
        self.may_tell.set()

    async def events_after(self, cursors: Sequence[tuple[UUID, int]]) -> list[OrderEvent]:
        events = await super().events_after(cursors)
        self.has_read.set()
        await self.may_tell.wait()
        return events


async def test_a_watcher_that_comes_during_a_read_is_no_gap(
    database_url: str, reader: OrderReader, orders: Orders
) -> None:
    held = _HeldReader(an_order_reader(reader._database))
    order_id = await orders.insert()
    async with Hub(conninfo(database_url, "listen"), held, sweep_every=NEVER) as hub:
        first = hub.subscribe(order_id)
        assert await transcript(first, 1) == [1]
        held.has_read.clear()
        held.may_tell.clear()
        with capture_logs() as logs:
            await orders.append(order_id, *HAPPY_WAY)
            async with asyncio.timeout(10):
                await held.has_read.wait()
            second = hub.subscribe(order_id)
            held.may_tell.set()
            assert await transcript(second) == [1, 2, 3, 4, 5]
            assert await transcript(first) == [2, 3, 4, 5]
    assert [entry for entry in logs if entry["event"] == "stream.gap"] == []

"""What breaks between the ledger and a watcher, and that the watcher does not notice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest

from app.orders.model import OrderEvent
from app.storage.database import Database, conninfo
from app.storage.reader import OrderReader
from app.stream.hub import Hub
from tests.support.wire import Wire

from .conftest import NEVER
from .support import HAPPY_WAY, Orders, an_order_reader, listening_backends, terminate, transcript, until

WHOLE = [1, 2, 3, 4, 5]


async def test_steps_whose_notification_is_lost_are_found_by_the_sweep(
    database_url: str, reader: OrderReader, orders: Orders
) -> None:
    async with Hub(conninfo(database_url, "listen"), reader, sweep_every=0.2) as hub:
        order_id = await orders.insert(notify=False)
        async with hub.subscribe(order_id) as events:
            assert await transcript(events, 1) == [1]
            await orders.append(order_id, *HAPPY_WAY, notify=False)
            assert await transcript(events) == [2, 3, 4, 5]


async def test_a_terminated_listen_connection_heals(hub: Hub, orders: Orders, database_url: str) -> None:
    order_id = await orders.insert()
    async with hub.subscribe(order_id) as events:
        assert await transcript(events, 1) == [1]
        await until(lambda: hub._listener.is_listening)
        await terminate(database_url, await listening_backends(database_url))
        await orders.append(order_id, *HAPPY_WAY)
        assert await transcript(events) == [2, 3, 4, 5]


class _DeafHub(Hub):
    """A hub that trusts that no notification is lost."""

    def _sweep(self) -> None:
        self._next_sweep = float("inf")


async def _sees_steps_of_an_outage(hub: Hub, wire: Wire, orders: Orders, within: float) -> None:
    """The steps are written while the LISTEN connection is away, and no other way leads to them."""
    async with hub:
        order_id = await orders.insert()
        async with hub.subscribe(order_id) as events:
            assert await transcript(events, 1) == [1]
            await until(lambda: hub._listener.is_listening)
            wire.cut()
            await orders.append(order_id, *HAPPY_WAY)
            wire.mend()
            async with asyncio.timeout(within):
                assert await transcript(events) == [2, 3, 4, 5]


async def test_steps_written_while_listen_is_away_are_read_when_it_is_back(
    database_url: str, reader: OrderReader, orders: Orders, wire: Wire
) -> None:
    hub = Hub(wire.through(conninfo(database_url, "listen")), reader, sweep_every=NEVER)
    await _sees_steps_of_an_outage(hub, wire, orders, 30)


async def test_without_the_reading_anew_the_steps_of_an_outage_are_lost(
    database_url: str, reader: OrderReader, orders: Orders, wire: Wire
) -> None:
    hub = _DeafHub(wire.through(conninfo(database_url, "listen")), reader, sweep_every=NEVER)
    with pytest.raises(TimeoutError):
        await _sees_steps_of_an_outage(hub, wire, orders, 3)


async def test_a_database_that_goes_away_and_comes_back_loses_nothing(
    database_url: str, orders: Orders, wire: Wire
) -> None:
    async with (
        Database(wire.through(conninfo(database_url, "test"))) as database,
        Hub(
            wire.through(conninfo(database_url, "listen")), an_order_reader(database), sweep_every=NEVER
        ) as hub,
    ):
        order_id = await orders.insert()
        async with hub.subscribe(order_id) as early:
            assert await transcript(early, 1) == [1]
            wire.cut()
            await orders.append(order_id, "routing", "building")
            async with hub.subscribe(order_id) as during:
                await until(lambda: bool(hub._unsure))  # the read of it has failed
                wire.mend()
                await orders.append(order_id, "submitted", "confirmed")
                assert await transcript(early) == [2, 3, 4, 5]
                assert await transcript(during) == WHOLE


class _HeldReader(OrderReader):
    """Answers what was true when it was asked, but only when it is let go."""

    def __init__(self, reader: OrderReader) -> None:
        super().__init__(reader._database, reader._sessions)
        self.has_read = asyncio.Event()
        self.let_go = asyncio.Event()

    async def events_after(self, cursors: Sequence[tuple[UUID, int]]) -> list[OrderEvent]:
        events = await super().events_after(cursors)
        self.has_read.set()
        await self.let_go.wait()
        return events


async def test_an_order_that_moves_while_it_is_read_is_read_again(
    database_url: str, reader: OrderReader, orders: Orders
) -> None:
    held = _HeldReader(reader)
    async with Hub(conninfo(database_url, "listen"), held, sweep_every=NEVER) as hub:
        await until(lambda: hub._listener.is_listening)
        order_id = await orders.insert(notify=False)
        async with hub.subscribe(order_id) as events, asyncio.timeout(10):
            await held.has_read.wait()
            await orders.append(order_id, "failed")
            await until(lambda: order_id in hub._moved)
            held.let_go.set()
            assert await transcript(events) == [1, 2]


class _PickyReader(OrderReader):
    """Cannot read one order, as a version that does not know its status could not."""

    def __init__(self, reader: OrderReader, unreadable: UUID) -> None:
        super().__init__(reader._database, reader._sessions)
        self._unreadable = unreadable

    async def events_after(self, cursors: Sequence[tuple[UUID, int]]) -> list[OrderEvent]:
        if self._unreadable in dict(cursors):
            raise ValueError("'frozen' is not a valid Status")
        return await super().events_after(cursors)


async def test_an_order_that_cannot_be_read_does_not_stop_the_others(
    database_url: str, reader: OrderReader, orders: Orders
) -> None:
    placed = [await orders.insert() for _ in range(20)]
    async with Hub(conninfo(database_url, "listen"), _PickyReader(reader, placed[7])) as hub:
        watchers = [hub.subscribe(order_id) for order_id in placed]
        for order_id in placed:
            await orders.append(order_id, "failed")
        readable = [watcher for watcher in watchers if watcher.order_id != placed[7]]
        assert [await transcript(watcher) for watcher in readable] == [[1, 2]] * 19


class _GappyReader(OrderReader):
    """Does not find the second event at first."""

    def __init__(self, reader: OrderReader) -> None:
        super().__init__(reader._database, reader._sessions)
        self.reads = 0

    async def events_after(self, cursors: Sequence[tuple[UUID, int]]) -> list[OrderEvent]:
        self.reads += 1
        events = await super().events_after(cursors)
        return [event for event in events if event.sequence != 2] if self.reads == 1 else events


async def test_nothing_is_shown_past_a_gap_until_it_is_filled(
    database_url: str, reader: OrderReader, orders: Orders
) -> None:
    order_id = await orders.insert()
    await orders.append(order_id, *HAPPY_WAY)
    gappy = _GappyReader(reader)
    async with Hub(conninfo(database_url, "listen"), gappy, sweep_every=0.2) as hub:
        assert await transcript(hub.subscribe(order_id)) == WHOLE
    assert gappy.reads > 1

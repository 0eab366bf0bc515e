"""What the hub knows of new orders without a read, and that it never knows half of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

from app.errors import StorageUnavailable
from app.orders.model import OrderEvent, new_order_id
from app.storage.database import conninfo
from app.storage.reader import OrderReader
from app.stream.hub import Hub
from app.stream.listener import Notice
from app.stream.recent import MOST_EVENTS, Recent

from .conftest import NEVER
from .support import DEADLINE, HAPPY_WAY, Orders, transcript, until


def a_notice(order_id: UUID, sequence: int, status: str = "routing") -> Notice:
    return Notice(order_id, sequence, f"{sequence} {status} 2026-11-20T06:12:01.123Z {{}}")


def told(recent: Recent, order_id: UUID, *sequences: int) -> list[int]:
    """What is known of the order once these notices have come."""
    for sequence in sequences:
        recent.take(a_notice(order_id, sequence))
    return [event.sequence for event in recent.events(order_id)]


def test_an_order_is_known_from_its_first_event_on() -> None:
    recent = Recent()
    order_id = new_order_id()

    assert told(recent, order_id) == []
    assert told(recent, order_id, 1) == [1]
    assert told(recent, order_id, 2, 3) == [1, 2, 3]
    assert told(recent, new_order_id(), 2, 3) == [], "of one that was there before"


def test_an_order_with_a_hole_is_not_known() -> None:
    recent = Recent()
    order_id = new_order_id()

    assert told(recent, order_id, 1, 2, 4) == []
    assert told(recent, order_id, 5) == []


def test_a_notice_that_comes_again_changes_nothing() -> None:
    assert told(Recent(), new_order_id(), 1, 2, 2, 3) == [1, 2, 3]


def test_an_event_that_was_too_long_for_its_notice_makes_the_order_unknown() -> None:
    recent = Recent()
    order_id = new_order_id()
    recent.take(a_notice(order_id, 1))
    recent.take(Notice(order_id, 2))

    assert told(recent, order_id, 3) == []


def test_it_is_bounded() -> None:
    recent = Recent(most_orders=2)
    oldest, older, newest = (new_order_id() for _ in range(3))
    for order_id in (oldest, older, newest):
        told(recent, order_id, 1)

    assert told(recent, oldest) == []
    assert told(recent, older) == [1]
    assert told(recent, newest, *range(2, MOST_EVENTS + 1)) == [*range(1, MOST_EVENTS + 1)]
    assert told(recent, newest, MOST_EVENTS + 1) == []


def test_what_may_have_been_missed_is_forgotten() -> None:
    recent = Recent()
    order_id = new_order_id()
    told(recent, order_id, 1)
    recent.forget()

    assert told(recent, order_id, 2) == []


class _NoReader(OrderReader):
    async def events_after(self, cursors: Sequence[tuple[UUID, int]]) -> list[OrderEvent]:
        raise StorageUnavailable(f"nothing is to be read, and not after {cursors}")


async def test_who_comes_right_after_the_post_is_served_without_a_read(
    database_url: str, reader: OrderReader, orders: Orders
) -> None:
    blind = _NoReader(reader._database, reader._sessions)
    told = asyncio.Event()
    async with Hub(conninfo(database_url, "listen"), blind, on_moved=told.set, sweep_every=NEVER) as hub:
        await until(lambda: hub._listener.is_listening)
        told.clear()
        order_id = await orders.insert()
        await asyncio.wait_for(told.wait(), DEADLINE)
        live = hub.subscribe(order_id)
        await orders.append(order_id, *HAPPY_WAY)

        assert await transcript(live) == [1, 2, 3, 4, 5]
        assert await transcript(hub.subscribe(order_id)) == [1, 2, 3, 4, 5], "one that is over already"


async def test_what_was_not_notified_is_read(hub: Hub, orders: Orders) -> None:
    await until(lambda: hub._listener.is_listening)
    order_id = await orders.insert()
    assert await transcript(hub.subscribe(order_id), 1) == [1]
    await orders.append(order_id, "routing", notify=False)
    await orders.append(order_id, *HAPPY_WAY[1:])

    assert await transcript(hub.subscribe(order_id)) == [1, 2, 3, 4, 5]

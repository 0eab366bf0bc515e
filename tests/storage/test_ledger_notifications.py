"""Notifications: one per batch, for what happened and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from app.errors import LostClaim
from app.orders.lifecycle import Status
from app.storage.database import Connection, connect
from app.stream.listener import parse_payload
from tests.support.books import Books, a_move

DEADLINE = 15.0


@asynccontextmanager
async def notifications(url: str) -> AsyncIterator[Connection]:
    connection = await connect(url)
    async with connection:
        await connection.execute("LISTEN order_events")
        yield connection


async def heard(listening: Connection) -> list[str]:
    """What was notified so far."""
    await listening.execute("NOTIFY order_events, 'the end'")
    payloads: list[str] = []
    async for notification in listening.notifies(timeout=DEADLINE):
        if notification.payload == "the end":
            return payloads
        payloads.append(notification.payload)
    raise TimeoutError


def names(payload: str) -> list[str]:
    """The events that a payload names."""
    return [line.partition(" ")[0] for line in payload.split("\n")]


async def test_one_batch_sends_one_notification_that_names_each_event(books: Books) -> None:
    claims = [await books.bring_to(Status.ROUTING) for _ in range(3)]
    async with notifications(books.url) as listening:
        await asyncio.gather(
            *(books.ledger.move(a_move(claimed, Status.BUILDING)) for claimed in claims),
            books.ledger.move(a_move(claims[0], Status.CONFIRMED)),  # refused: nothing to tell
            books.ledger.release(claims[1].order),
            return_exceptions=True,
        )
        [payload] = await heard(listening)

    assert sorted(names(payload)) == sorted(f"{claimed.order.id}:3" for claimed in claims)


async def test_more_events_than_a_payload_holds_are_notified_in_several(books: Books) -> None:
    orders = [await books.accept() for _ in range(3)]
    many = (
        "SELECT id, 1 + number, 'pending'::order_status, 'failed'::order_status"
        " FROM unnest(%s::uuid[]) id, generate_series(1, 150) number"
    )
    async with notifications(books.url) as listening:
        await books.connection.execute(
            f"INSERT INTO order_events (order_id, sequence, previous, status) {many}".encode(), (orders,)
        )
        payloads = await heard(listening)

    assert len(payloads) > 3
    named = [name for payload in payloads for name in names(payload)]
    assert sorted(named) == sorted(
        f"{order_id}:{1 + number}" for order_id in orders for number in range(1, 151)
    )


async def test_an_event_is_told_as_the_ledger_has_it_unless_it_is_too_long(books: Books) -> None:
    claims = [await books.bring_to(Status.ROUTING) for _ in range(2)]
    long, short = ({"dex": 'é\n"x y"' * repeated} for repeated in (200, 2))
    async with notifications(books.url) as listening:
        for claimed, data in zip(claims, (short, long), strict=True):
            await books.ledger.move(msgspec.structs.replace(a_move(claimed, Status.BUILDING), data=data))
        told = await heard(listening)

    [event] = [event for event in await books.events(claims[0].order.id) if event.sequence == 3]
    assert told[1] == f"{claims[1].order.id}:3"
    notice, *others = parse_payload(told[0])
    assert others == []
    building = notice.event()
    assert building is not None
    assert (building.sequence, building.status) == (3, Status.BUILDING)
    assert msgspec.json.decode(building.data) == event.data == short


async def test_a_refused_move_notifies_nobody(books: Books) -> None:
    claimed = await books.bring_to(Status.ROUTING)
    async with notifications(books.url) as listening:
        with pytest.raises(LostClaim):
            await books.ledger.move(a_move(claimed, Status.CONFIRMED))
        assert await heard(listening) == []

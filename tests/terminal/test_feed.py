"""The engine at work in the terminal: each step of every order once, in order, whatever the database does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import UUID

import pytest

from app.storage.database import connect
from app.terminal import feed as feed_module
from app.terminal.feed import follow_engine
from app.terminal.render import short_id
from tests.stream.support import HAPPY_WAY, Orders, listening_backends, until
from tests.support.wire import Wire, wire_to_postgres

from .support import STATUSES, Screen


@pytest.fixture
async def orders(database_url: str) -> AsyncIterator[Orders]:
    connection = await connect(database_url)
    yield Orders(connection)
    await connection.close()


@pytest.fixture
async def wire(database_url: str) -> AsyncIterator[Wire]:
    async with wire_to_postgres(database_url) as wire:
        yield wire


@asynccontextmanager
async def following(url: str, screen: Screen) -> AsyncIterator[None]:
    task = asyncio.create_task(follow_engine(url, console=screen.console))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until_listening(url: str) -> None:
    async with asyncio.timeout(10):
        while not await listening_backends(url):  # noqa: ASYNC110  # another process's state
            await asyncio.sleep(0.02)


def steps_of(screen: Screen, order_id: UUID) -> list[str]:
    words = [line.split() for line in screen.lines]
    return [parts[2] for parts in words if parts[1] == short_id(order_id)]


async def test_every_step_of_every_order_is_shown_once_and_in_order(
    database_url: str, orders: Orders
) -> None:
    screen = Screen()
    async with following(database_url, screen):
        await until_listening(database_url)
        placed = [await orders.insert() for _ in range(5)]
        for status in HAPPY_WAY:
            for order_id in placed:
                await orders.append(order_id, status)
        await until(lambda: len(screen.lines) == 25)
    assert [steps_of(screen, order_id) for order_id in placed] == [list(STATUSES)] * 5


async def test_an_order_from_before_is_shown_from_where_it_moves(database_url: str, orders: Orders) -> None:
    order_id = await orders.insert()
    await orders.append(order_id, "routing", "building")
    screen = Screen()
    async with following(database_url, screen):
        await until_listening(database_url)
        await orders.append(order_id, "submitted", "confirmed")
        await until(lambda: len(screen.lines) == 2)
    assert steps_of(screen, order_id) == ["submitted", "confirmed"]


async def test_a_restarted_database_costs_no_step(database_url: str, orders: Orders, wire: Wire) -> None:
    screen = Screen()
    async with following(wire.through(database_url), screen):
        await until_listening(database_url)
        open_before = await orders.insert()
        await until(lambda: len(screen.lines) == 1)
        wire.cut()
        await orders.append(open_before, *HAPPY_WAY)
        born_and_over = await orders.insert()
        await orders.append(born_and_over, "failed")
        wire.mend()
        await until(lambda: len(screen.lines) == 7)
        await orders.append(await orders.insert(), "failed")
        await until(lambda: len(screen.lines) == 9)
    assert steps_of(screen, open_before) == list(STATUSES)
    assert steps_of(screen, born_and_over) == ["pending", "failed"]


async def test_more_steps_than_anybody_reads_are_counted(
    database_url: str, orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "MAX_LINES", 3)
    screen = Screen()
    async with following(database_url, screen):
        await until_listening(database_url)
        async with orders.connection.transaction():
            order_id = await orders.insert(notify=False)
            await orders.append(order_id, *HAPPY_WAY, notify=False)
            # One notification, so one read.
            await orders.connection.execute("SELECT pg_notify('order_events', %s)", (f"{order_id}:5",))
        await until(lambda: len(screen.lines) == 1)
    assert screen.lines[0].endswith(
        "1 orders moved: 1 pending, 1 routing, 1 building, 1 submitted, 1 confirmed"
    )


async def test_a_forgotten_order_is_not_shown_again_from_its_beginning(
    database_url: str, orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "MAX_ORDERS", 2)
    screen = Screen()
    async with following(database_url, screen):
        await until_listening(database_url)
        placed = []
        for count in range(1, 6):
            placed.append(await orders.insert())
            await until(lambda: len(screen.lines) == count)  # noqa: B023  # awaited before the next round
        await orders.append(placed[0], "failed")
        await until(lambda: len(screen.lines) == 6)
    assert steps_of(screen, placed[0]) == ["pending", "failed"]

"""Whoever watches sees every step, in order, once: whenever they come, whatever breaks."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from app.storage.database import conninfo
from app.storage.reader import OrderReader
from app.stream.hub import CHUNK, Hub, HubClosed, SlowConsumer, Subscription

from .conftest import NEVER
from .support import (
    HAPPY_WAY,
    Orders,
    transcript,
    until,
)

WHOLE = [1, 2, 3, 4, 5]


async def test_a_late_watcher_sees_the_whole_order_and_the_end(hub: Hub, orders: Orders) -> None:
    order_id = await orders.insert()
    await orders.append(order_id, *HAPPY_WAY)
    async with hub.subscribe(order_id) as events:
        assert await transcript(events) == WHOLE


async def test_an_early_watcher_sees_each_step_when_it_happens(hub: Hub, orders: Orders) -> None:
    order_id = await orders.insert()
    async with hub.subscribe(order_id) as events:
        assert await transcript(events, 1) == [1]
        for sequence, status in enumerate(HAPPY_WAY, start=2):
            await orders.append(order_id, status)
            assert await transcript(events, 1) == [sequence]
        assert await transcript(events) == []


async def test_a_resumed_watcher_sees_only_what_came_after(hub: Hub, orders: Orders) -> None:
    order_id = await orders.insert()
    await orders.append(order_id, "routing", "building")
    async with hub.subscribe(order_id, after=2) as events:
        assert await transcript(events, 1) == [3]
        await orders.append(order_id, "submitted", "confirmed")
        assert await transcript(events) == [4, 5]


@pytest.mark.parametrize("after", [5, 6, 99])
async def test_an_order_that_is_over_ends_a_watcher_that_has_seen_all(
    hub: Hub, orders: Orders, after: int
) -> None:
    order_id = await orders.insert()
    await orders.append(order_id, *HAPPY_WAY)
    async with hub.subscribe(order_id, after=after) as events:
        assert await transcript(events) == []


async def test_a_watcher_that_is_ahead_of_an_open_order_is_ended_with_it(hub: Hub, orders: Orders) -> None:
    order_id = await orders.insert()
    async with hub.subscribe(order_id, after=99) as events:
        await orders.append(order_id, *HAPPY_WAY)
        assert await transcript(events) == []


async def test_a_cut_watcher_resumes_without_gap_or_repetition(hub: Hub, orders: Orders) -> None:
    order_id = await orders.insert()
    await orders.append(order_id, "routing")
    async with hub.subscribe(order_id) as events:
        seen = await transcript(events, 2)
    await orders.append(order_id, "building", "submitted")
    async with hub.subscribe(order_id, after=seen[-1]) as events:
        await orders.append(order_id, "confirmed")
        assert seen + await transcript(events) == WHOLE


async def test_watchers_of_one_order_do_not_depend_on_each_other(hub: Hub, orders: Orders) -> None:
    order_id = await orders.insert()
    stays, resumed = hub.subscribe(order_id), hub.subscribe(order_id, after=1)
    async with hub.subscribe(order_id) as leaves:
        assert await transcript(leaves, 1) == [1]
    await orders.append(order_id, *HAPPY_WAY)
    assert await transcript(stays) == WHOLE
    assert await transcript(resumed) == [2, 3, 4, 5]
    assert hub._subscriptions == {}


async def test_watchers_that_come_while_steps_are_written_see_all_of_them(hub: Hub, orders: Orders) -> None:
    placed = [await orders.insert() for _ in range(200)]

    async def watch(order_id: UUID) -> list[int]:
        async with hub.subscribe(order_id) as events:
            return await transcript(events)

    async def execute() -> None:
        for status in HAPPY_WAY:
            for order_id in placed:
                await orders.append(order_id, status)

    watchers = [asyncio.create_task(watch(order_id)) for order_id in placed]
    await asyncio.gather(execute(), *watchers)
    assert [watcher.result() for watcher in watchers] == [WHOLE] * 200


async def test_more_late_watchers_than_one_query_serves_all_see_the_whole_order(
    hub: Hub, orders: Orders
) -> None:
    await until(lambda: hub._listener.is_listening)  # what its first reading anew finds does not count
    async with orders.connection.transaction():
        placed = [await orders.insert(notify=False) for _ in range(CHUNK + 50)]
        for order_id in placed:
            await orders.append(order_id, "failed", notify=False)
    watchers = [hub.subscribe(order_id) for order_id in placed]
    assert [await transcript(watcher) for watcher in watchers] == [[1, 2]] * len(placed)


async def test_a_watcher_that_does_not_read_is_dropped_alone(
    database_url: str, reader: OrderReader, orders: Orders
) -> None:
    async with Hub(conninfo(database_url, "listen"), reader, sweep_every=NEVER, max_queue=3) as hub:
        order_id, other_id = await orders.insert(), await orders.insert()
        slow, quick = hub.subscribe(order_id), hub.subscribe(order_id)
        other = asyncio.create_task(transcript(hub.subscribe(other_id)))
        seen = await transcript(quick, 1)
        for status in HAPPY_WAY:
            await orders.append(order_id, status)
            seen += await transcript(quick, 1)
            await orders.append(other_id, status)
        assert seen == WHOLE
        with pytest.raises(SlowConsumer):
            await transcript(slow)
        assert await other == WHOLE
        async with hub.subscribe(order_id) as resumed:
            assert await transcript(resumed) == WHOLE  # longer than the queue, and read in one go


async def test_closing_the_hub_ends_every_watcher(
    database_url: str, reader: OrderReader, orders: Orders
) -> None:
    async with Hub(conninfo(database_url, "listen"), reader) as hub:
        order_id = await orders.insert()
        waiting, unread = hub.subscribe(order_id), hub.subscribe(order_id)
        assert await transcript(waiting, 1) == [1]
        watcher = asyncio.create_task(transcript(waiting))
    with pytest.raises(HubClosed):
        await watcher
    with pytest.raises(HubClosed):
        await transcript(unread)
    with pytest.raises(HubClosed):
        hub.subscribe(order_id)


async def test_a_cancelled_watcher_can_go_on(hub: Hub, orders: Orders) -> None:
    order_id = await orders.insert()
    events: Subscription = hub.subscribe(order_id, after=1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await anext(events)
    await orders.append(order_id, "failed")
    assert await transcript(events) == [2]


async def test_who_is_up_to_date_gets_a_step_from_its_notification(
    hub: Hub, reader: OrderReader, orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_id = await orders.insert()
    async with hub.subscribe(order_id) as events:
        assert await transcript(events, 1) == [1]
        await until(lambda: hub._listener.is_listening and not (hub._moved or hub._unsure))
        monkeypatch.setattr(reader, "events_after", None)
        await orders.append(order_id, *HAPPY_WAY)
        assert await transcript(events) == [2, 3, 4, 5]

"""The WebSockets: every step, in order, once."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import UUID

import pytest
import websockets

from app.settings import Settings
from tests.stream.support import HAPPY_WAY, Orders
from tests.support.wire import wire_to_postgres

from .support import (
    DEADLINE,
    ENVELOPED,
    FLAT,
    OTHER_FLAT,
    PATHS,
    Api,
    a_settings,
    eventually,
    is_watched,
    messages_of,
    running_api,
    with_after,
    working,
)

STEPS = ["pending", *HAPPY_WAY]


@pytest.mark.parametrize("path", [FLAT, OTHER_FLAT])
async def test_a_flat_stream_shows_all_five_steps_with_their_data(
    api: Api, settings: Settings, path: str
) -> None:
    order_id = await api.placed(slippageBps=500)
    async with working(settings), api.watch(path.format(order_id)) as watcher:
        steps = await messages_of(watcher)

    assert watcher.close_code == 1000
    assert [(step["sequence"], step["status"]) for step in steps] == list(enumerate(STEPS, start=1))
    assert all(step["orderId"] == order_id and step["ts"].endswith("Z") for step in steps)
    _, routing, building, submitted, confirmed = steps
    assert routing["attempt"] == 1
    assert building["dex"] in {quote["dex"] for quote in building["quotes"]}
    assert {frozenset(quote) for quote in building["quotes"]} == {
        frozenset({"dex", "price", "fee", "amountOut"})
    }
    assert submitted["txHash"] == confirmed["txHash"]
    assert submitted["minAmountOut"] <= confirmed["amountOut"]
    assert confirmed["executedPrice"] > 0
    assert steps == (await api.http.get(f"/api/orders/{order_id}")).json()["events"]


async def test_an_enveloped_stream_keeps_the_data_apart(api: Api, settings: Settings) -> None:
    order_id = await api.placed(slippageBps=500)
    async with working(settings), api.watch(ENVELOPED.format(order_id)) as watcher:
        steps = await messages_of(watcher)

    assert watcher.close_code == 1000
    events = (await api.http.get(f"/api/orders/{order_id}")).json()["events"]
    assert steps == [_enveloped(event) for event in events]
    assert [step["status"] for step in steps] == STEPS


@pytest.mark.parametrize("path", PATHS)
async def test_an_early_watcher_sees_each_step_as_it_happens(api: Api, orders: Orders, path: str) -> None:
    order_id = await api.placed()
    async with api.watch(path.format(order_id)) as watcher:
        for number, status in enumerate(STEPS, start=1):
            if status != "pending":
                await orders.append(UUID(order_id), status)
            async with asyncio.timeout(DEADLINE):
                step = json.loads(await watcher.recv())
            assert (step["sequence"], step["status"]) == (number, status)
        assert await messages_of(watcher) == []
    assert watcher.close_code == 1000


@pytest.mark.parametrize("path", PATHS)
async def test_a_late_watcher_sees_everything_at_once(api: Api, orders: Orders, path: str) -> None:
    order_id = await api.placed()
    await orders.append(UUID(order_id), *HAPPY_WAY)

    async with api.watch(path.format(order_id)) as watcher:
        steps = await messages_of(watcher)

    assert watcher.close_code == 1000
    assert [step["sequence"] for step in steps] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("path", PATHS)
async def test_a_watcher_resumes_after_what_it_has_seen(api: Api, orders: Orders, path: str) -> None:
    order_id = await api.placed()
    await orders.append(UUID(order_id), *HAPPY_WAY)

    for after, left in [(0, [1, 2, 3, 4, 5]), (3, [4, 5]), (4, [5]), (5, []), (99, [])]:
        async with api.watch(with_after(path.format(order_id), after)) as watcher:
            steps = await messages_of(watcher)

        assert [step["sequence"] for step in steps] == left
        assert watcher.close_code == 1000


async def test_a_watcher_that_comes_and_goes_misses_nothing(api: Api, orders: Orders) -> None:
    order_id = await api.placed()
    moving = asyncio.create_task(
        orders.append(UUID(order_id), "routing", "building", "retrying", "routing", "failed")
    )
    seen: list[int] = []
    code: int | None = None
    while code != 1000:
        async with api.watch(with_after(FLAT.format(order_id), len(seen))) as watcher:
            async with asyncio.timeout(DEADLINE):
                try:
                    seen.append(json.loads(await watcher.recv())["sequence"])
                except websockets.ConnectionClosed:
                    code = watcher.close_code
    await moving

    assert seen == [1, 2, 3, 4, 5, 6]


async def test_many_watch_one_order(api: Api, orders: Orders) -> None:
    order_id = await api.placed()

    async def watch(path: str) -> list[int]:
        async with api.watch(path.format(order_id)) as watcher:
            return [step["sequence"] for step in await messages_of(watcher)]

    watching = [asyncio.create_task(watch(path)) for path in PATHS * 10]
    await eventually(lambda: is_watched(api, order_id, by=30))
    await orders.append(UUID(order_id), *HAPPY_WAY)

    assert await asyncio.gather(*watching) == [[1, 2, 3, 4, 5]] * 30


async def test_a_watcher_sees_through_an_outage_of_the_database(
    database_url: str, redis_url: str, orders: Orders
) -> None:
    async with (
        wire_to_postgres(database_url) as wire,
        running_api(a_settings(wire.through_url(database_url), redis_url)) as api,
    ):
        order_id = await api.placed()
        async with api.watch(FLAT.format(order_id)) as watcher:
            await watcher.recv()
            wire.cut()
            await orders.append(UUID(order_id), *HAPPY_WAY)
            wire.mend()
            steps = await messages_of(watcher)

    assert [step["sequence"] for step in steps] == [2, 3, 4, 5]
    assert watcher.close_code == 1000


async def test_what_a_watcher_sends_is_ignored(api: Api, orders: Orders) -> None:
    order_id = await api.placed()
    async with api.watch(FLAT.format(order_id)) as watcher:
        for _ in range(200):
            await watcher.send("hello")
            await watcher.send(b"\x00\xff")
        await orders.append(UUID(order_id), *HAPPY_WAY)
        assert [step["sequence"] for step in await messages_of(watcher)] == [1, 2, 3, 4, 5]


async def test_messages_are_not_compressed(api: Api) -> None:
    async with api.watch(FLAT.format(await api.placed()), compression="deflate") as watcher:
        assert watcher.response is not None
        assert "Sec-WebSocket-Extensions" not in watcher.response.headers


def _enveloped(event: dict[str, Any]) -> dict[str, Any]:
    data = dict(event)
    head = {name: data.pop(name) for name in ("orderId", "sequence", "status")}
    return {"type": "status", **head, "timestamp": data.pop("ts"), "data": data}

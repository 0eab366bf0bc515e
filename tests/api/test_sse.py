"""The same streams as Server-Sent Events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx
import pytest

from app.api import sse
from app.settings import Settings
from tests.stream.support import HAPPY_WAY, Orders

from .support import DEADLINE, NO_ORDER, Api, check_problem, eventually, exchange, running_api


class Frame(NamedTuple):
    """As a browser takes it apart; a comment is an event without a name."""

    id: str | None
    event: str | None
    data: Any


class Listener:
    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._lines = answer.aiter_lines()

    async def frame(self) -> Frame:
        """The next one. Raises StopAsyncIteration at the end of the stream."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(DEADLINE):
            while line := await anext(self._lines):
                name, _, value = line.partition(": ")
                fields[name] = value
        data = fields.get("data")
        return Frame(fields.get("id"), fields.get("event"), None if data is None else json.loads(data))

    async def events(self, count: int) -> list[tuple[str | None, str]]:
        """The ids of the next status events, and what has happened."""
        frames = [await self.frame() for _ in range(count)]
        assert {frame.event for frame in frames} == {"status"}
        assert [frame.id for frame in frames] == [str(frame.data["position"]) for frame in frames]
        return [(frame.id, frame.data["status"]) for frame in frames]

    async def ends(self) -> bool:
        try:
            await self.frame()
        except StopAsyncIteration:
            return True
        return False


@asynccontextmanager
async def listening(api: Api, query: str = "", last_event_id: str | None = None) -> AsyncIterator[Listener]:
    headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
    async with api.http.stream("GET", f"/api/stream{query}", headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        yield Listener(answer)


async def test_all_orders_from_now_on(api: Api, orders: Orders) -> None:
    await orders.insert()
    async with listening(api) as listener:
        assert listener.answer.headers["content-type"] == "text/event-stream"
        assert await listener.frame() == Frame("1", None, None)
        order_id = await orders.insert(wallet="mine")
        frame = await listener.frame()
    assert (frame.id, frame.event) == ("2", "status")
    assert frame.data.pop("timestamp")
    assert frame.data == {
        "position": 2, "orderId": str(order_id), "sequence": 1, "status": "pending", "data": {},
        "order": {"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": 1e-9, "slippageBps": 50,
                  "wallet": "mine"},
    }  # fmt: skip


async def test_after_a_position_and_what_a_browser_says_wins(api: Api, orders: Orders) -> None:
    order_id = await orders.insert()
    await orders.append(order_id, "routing", "building")
    async with listening(api, "?after=1") as listener:
        await listener.frame()
        assert await listener.events(2) == [("2", "routing"), ("3", "building")]
    async with listening(api, "?after=1", last_event_id="2") as listener:
        await listener.frame()
        assert await listener.events(1) == [("3", "building")]


async def test_a_wallet_gets_its_own(api: Api, orders: Orders) -> None:
    async with listening(api, "?wallet=mine&after=0") as listener:
        await listener.frame()
        for wallet in ("other", "mine", None):
            await orders.insert(wallet=wallet)
        await orders.insert(wallet="mine")
        assert await listener.events(2) == [("2", "pending"), ("4", "pending")]


async def test_one_order_to_its_end(api: Api, orders: Orders) -> None:
    order_id = await orders.insert()
    await orders.insert()
    async with listening(api, f"?orderId={order_id}") as listener:
        await listener.frame()
        await orders.append(order_id, *HAPPY_WAY)
        expected = [
            (str(at), status) for at, status in zip((1, 3, 4, 5, 6), ("pending", *HAPPY_WAY), strict=True)
        ]
        assert await listener.events(5) == expected
        assert await listener.frame() == Frame(None, "end", {"orderId": str(order_id)})
        assert await listener.ends()
    async with listening(api, f"?orderId={order_id}", last_event_id="4") as listener:
        await listener.frame()
        assert await listener.events(2) == expected[3:]


async def test_a_position_that_is_too_old_is_a_gap_and_the_end(api: Api, orders: Orders) -> None:
    await orders.insert()
    await orders.connection.execute("DELETE FROM orders")
    async with listening(api, "?after=0") as listener:
        await listener.frame()
        assert await listener.frame() == Frame(None, "gap", {"after": 0, "oldest": 1})
        assert await listener.ends()


async def test_silence_is_broken_by_comments(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.05)
    async with listening(api) as listener:
        await listener.frame()
        async with asyncio.timeout(DEADLINE):
            assert await anext(listener._lines) == ": heartbeat"


async def test_a_stopping_server_ends_the_stream_in_order(settings: Settings) -> None:
    async with running_api(settings) as api, listening(api) as listener:
        await listener.frame()
        stopping = asyncio.create_task(api.stop())
        assert (
            await listener.ends()
        )  # with the last chunk: httpx would complain of a connection that breaks off
        await stopping


async def test_a_listener_that_leaves_is_forgotten(api: Api) -> None:
    async with listening(api) as listener:
        await listener.frame()

    async def nobody_follows() -> bool:
        return not api.state.parts.log._followers

    await eventually(nobody_follows)


@pytest.mark.parametrize(
    ("query", "last_event_id", "status", "code"),
    [
        ("?after=-1", None, 400, "invalid_parameter"),
        ("?after=9223372036854775808", None, 400, "invalid_parameter"),
        ("", "x", 400, "invalid_parameter"),
        ("?after=1&after=2", None, 400, "invalid_parameter"),
        ("?wallet=ab", None, 400, "invalid_parameter"),
        ("?orderId=x", None, 400, "invalid_parameter"),
        (f"?orderId={NO_ORDER}&wallet=abc", None, 400, "invalid_parameter"),
        (f"?orderId={NO_ORDER}", None, 404, "unknown_order"),
    ],
)
async def test_what_is_wrong_is_a_problem(
    api: Api, query: str, last_event_id: str | None, status: int, code: str
) -> None:
    headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
    check_problem(await api.http.get(f"/api/stream{query}", headers=headers), status, code)


async def test_a_head_request_is_answered_and_the_connection_goes_on(api: Api) -> None:
    assert b"text/event-stream" in await exchange(api, b"HEAD /api/stream HTTP/1.1\r\nhost: x\r\n\r\n")
    answer = await api.http.head("/api/stream")
    assert (answer.status_code, answer.content) == (200, b"")
    assert (await api.http.get("/livez")).status_code == 200

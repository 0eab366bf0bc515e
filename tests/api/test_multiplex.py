"""Many subscriptions over one WebSocket."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import UUID

import pytest
import websockets

from app.api import multiplex, stream, websocket_protocol
from app.settings import Settings
from tests.stream.support import HAPPY_WAY, Orders
from tests.support.wire import wire_to_postgres

from .support import NO_ORDER, Api, a_settings, eventually, messages_of, next_message, running_api
from .test_stream_ends import a_deaf_client

Json = dict[str, Any]


class Client:
    """Says what it wants, and knows what it is told."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket

    async def say(self, type_: str, **members: Any) -> None:
        await self.socket.send(json.dumps({"type": type_, **members}))

    async def hear(self, count: int = 1) -> list[Json]:
        return [await next_message(self.socket) for _ in range(count)]

    async def subscribe(self, **members: Any) -> Json:
        """What is said first to a subscription."""
        await self.say("subscribe", **members)
        [answer] = await self.hear()
        return answer


def places(messages: list[Json]) -> list[tuple[str, int, str]]:
    """Whose, where and what."""
    return [(message["id"], message["position"], message["status"]) for message in messages]


async def test_all_orders_from_now_on_with_what_was_asked_for(api: Api, orders: Orders) -> None:
    await orders.insert()
    async with api.watch("/ws") as socket:
        client = Client(socket)
        assert await client.subscribe(id="all", all=True) == {
            "type": "subscribed",
            "id": "all",
            "position": 1,
        }
        order_id = await api.placed(wallet="a wallet", amount="1.25", slippageBps=70)
        await orders.append(UUID(order_id), "routing")
        pending, routing = await client.hear(2)

    assert pending.pop("timestamp")
    assert pending == {
        "type": "event", "id": "all", "position": 2, "orderId": order_id, "sequence": 1, "status": "pending", "data": {},
        "order": {"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": 1.25, "slippageBps": 70,
                  "wallet": "a wallet"},
    }  # fmt: skip
    assert (routing["position"], routing["sequence"]) == (3, 2)
    assert "order" not in routing


async def test_a_list_and_what_follows_from_there_are_the_whole(api: Api, orders: Orders) -> None:
    order_id = await orders.insert()
    await orders.append(order_id, "routing")
    listed = (await api.http.get("/api/orders")).json()
    await orders.append(order_id, "building")
    async with api.watch("/ws") as socket:
        client = Client(socket)
        await client.subscribe(id="all", all=True, after=listed["asOf"])
        assert places(await client.hear()) == [("all", 3, "building")]
    assert (listed["asOf"], listed["orders"][0]["sequence"]) == (2, 2)


async def test_a_wallet_gets_its_own(api: Api, orders: Orders) -> None:
    async with api.watch("/ws") as socket:
        client = Client(socket)
        await client.subscribe(id="w", wallet="mine", after=0)
        for wallet in ("other", "mine", None, "mine"):
            await orders.insert(wallet=wallet)
        assert places(await client.hear(2)) == [("w", 2, "pending"), ("w", 4, "pending")]


async def test_one_order_from_a_sequence_to_its_end(api: Api, orders: Orders) -> None:
    order_id = await orders.insert()
    await orders.append(order_id, *HAPPY_WAY[:2])
    async with api.watch("/ws") as socket:
        client = Client(socket)
        assert (await client.subscribe(id="o", orderId=str(order_id), after=1))["position"] == 3
        await orders.append(order_id, *HAPPY_WAY[2:])
        *steps, end = await client.hear(5)
        assert places(steps) == [("o", at, status) for at, status in enumerate(HAPPY_WAY, start=2)]
        assert end == {"type": "unsubscribed", "id": "o", "reason": "end"}

        assert (await client.subscribe(id="o", orderId=str(order_id)))["type"] == "subscribed"
        assert (await client.hear(6))[0]["order"]["tokenIn"] == "SOL"
        await client.subscribe(id="o", orderId=str(order_id), after=5)
        assert await client.hear() == [end]


async def test_subscriptions_end_when_asked_and_their_ids_are_free_again(api: Api, orders: Orders) -> None:
    async with api.watch("/ws") as socket:
        client = Client(socket)
        await client.subscribe(id="a", all=True)
        await client.subscribe(id="b", all=True)
        await client.say("unsubscribe", id="a")
        assert await client.hear() == [{"type": "unsubscribed", "id": "a"}]
        await orders.insert()
        assert places(await client.hear()) == [("b", 1, "pending")]
        await client.subscribe(id="a", all=True, after=0)
        assert places(await client.hear()) == [("a", 1, "pending")]
    await eventually(lambda: _nobody_follows(api))


async def _nobody_follows(api: Api) -> bool:
    return not api.state.parts.log._followers and not api.state.parts.hub._subscriptions


async def test_a_ping_is_answered(api: Api) -> None:
    async with api.watch("/ws") as socket:
        client = Client(socket)
        await client.say("ping")
        assert await client.hear() == [{"type": "pong"}]


@pytest.mark.parametrize(
    ("message", "about"),
    [
        ("", None),
        ("nonsense", None),
        ("[]", None),
        ("{}", None),
        ('"subscribe"', None),
        ('{"type":"subscribe"}', None),
        ('{"type":"shout","id":"x"}', "x"),
        ('{"type":"subscribe","id":"x"}', "x"),
        ('{"type":"subscribe","id":"x","all":false}', "x"),
        ('{"type":"subscribe","id":"x","all":true,"wallet":"abc"}', "x"),
        ('{"type":"subscribe","id":"x","all":true,"more":1}', "x"),
        ('{"type":"subscribe","id":"x","all":true,"after":-1}', "x"),
        ('{"type":"subscribe","id":"x","all":true,"after":1.5}', "x"),
        ('{"type":"subscribe","id":"x","all":true,"after":9223372036854775808}', "x"),
        ('{"type":"subscribe","id":"x","wallet":"ab"}', "x"),
        ('{"type":"subscribe","id":"x","wallet":"a\\u0000b"}', "x"),
        ('{"type":"subscribe","id":"x","orderId":"x"}', "x"),
        (f'{{"type":"subscribe","id":"x","orderId":"{NO_ORDER}","after":2147483648}}', "x"),
        ('{"type":"subscribe","id":"","all":true}', None),
        (f'{{"type":"subscribe","id":"{65 * "x"}","all":true}}', None),
        ('{"type":"subscribe","id":7,"all":true}', None),
        ("[" * 2000, None),
        (b'{"type":"ping"}', None),
    ],
)
async def test_a_message_that_makes_no_sense_is_said_to_and_the_connection_stays(
    api: Api, message: str | bytes, about: str | None
) -> None:
    async with api.watch("/ws") as socket:
        await socket.send(message)
        client = Client(socket)
        [error] = await client.hear()
        assert (error["type"], error["code"], error.get("id")) == ("error", "invalid_message", about)
        assert error["message"]
        await client.say("ping")
        assert await client.hear() == [{"type": "pong"}]


async def test_what_cannot_be_had_is_refused_and_the_connection_stays(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multiplex, "MAX_SUBSCRIPTIONS", 2)
    order_id = await api.placed()
    async with api.watch("/ws") as socket:
        client = Client(socket)
        codes = [
            (await client.subscribe(id="a", orderId=NO_ORDER))["code"],
            (await client.subscribe(id="a", orderId=order_id, after=2))["code"],
        ]
        await client.say("unsubscribe", id="a")
        codes += [message["code"] for message in await client.hear()]
        await client.subscribe(id="a", all=True)
        codes.append((await client.subscribe(id="a", all=True))["code"])
        await client.subscribe(id="b", all=True)
        codes.append((await client.subscribe(id="c", all=True))["code"])
        await client.say("ping")
        assert await client.hear() == [{"type": "pong"}]
    assert codes == [
        "unknown_order", "invalid_parameter", "unknown_subscription", "subscription_exists", "too_many_subscriptions",
    ]  # fmt: skip


async def test_orders_of_somebody_else_are_unknown(api: Api, orders: Orders) -> None:
    order_id = await orders.insert(account="alice")
    async with api.watch("/ws") as socket:
        client = Client(socket)
        assert (await client.subscribe(id="o", orderId=str(order_id)))["code"] == "unknown_order"
        await client.subscribe(id="all", all=True, after=0)
        mine = await orders.insert()
        [event] = await client.hear()
        assert event["orderId"] == str(mine)


async def test_a_position_that_is_too_old_is_a_gap(api: Api, orders: Orders) -> None:
    order_id = await orders.insert()
    await orders.append(order_id, "failed")
    await orders.connection.execute("DELETE FROM orders WHERE id = %s", (order_id,))
    async with api.watch("/ws") as socket:
        client = Client(socket)
        await client.subscribe(id="all", all=True, after=1)
        assert await client.hear() == [{"type": "gap", "id": "all", "after": 1, "oldest": 2}]
        as_of = (await api.http.get("/api/orders")).json()["asOf"]
        await client.subscribe(id="all", all=True, after=as_of)
        await orders.insert()
        assert places(await client.hear()) == [("all", 3, "pending")]


async def test_silence_is_broken_by_heartbeats_that_can_be_resumed_from(
    api: Api, orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multiplex, "HEARTBEAT_SECONDS", 0.05)
    async with api.watch("/ws") as socket:
        client = Client(socket)
        await client.say("subscribe", id="mine", wallet="mine")
        await orders.insert(wallet="other")
        beat: Json = {"type": None}
        while beat["type"] != "heartbeat" or beat["position"] < 1:
            [beat] = await client.hear()
    assert beat.keys() == {"type", "ts", "position"}


async def test_a_stopping_server_closes_with_1012(settings: Settings) -> None:
    async with running_api(settings) as api, api.watch("/ws") as socket:
        await Client(socket).subscribe(id="all", all=True)
        await api.stop()
        assert await messages_of(socket) == []
    assert socket.close_code == 1012


async def test_a_database_that_is_away_ends_the_subscription_alone(database_url: str, redis_url: str) -> None:
    async with (
        wire_to_postgres(database_url) as wire,
        running_api(a_settings(wire.through_url(database_url), redis_url)) as api,
        api.watch("/ws") as socket,
    ):
        client = Client(socket)
        wire.cut()
        for wanted in ({"all": True}, {"orderId": NO_ORDER}):
            answer = await client.subscribe(id="x", **wanted)
            assert (answer["id"], answer["code"]) == ("x", "storage_unavailable")
        wire.mend()

        async def is_subscribed() -> bool:
            return bool((await client.subscribe(id="x", all=True))["type"] == "subscribed")

        await eventually(is_subscribed)


async def test_a_client_that_does_not_read_is_closed_with_1013(
    api: Api, orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_protocol, "SEND_SECONDS", 0.2)
    monkeypatch.setattr(websocket_protocol, "CLOSE_SECONDS", 3)
    order_id = await orders.insert()
    reader, writer = await a_deaf_client(api, "/ws")
    writer.write(_frame(json.dumps({"type": "subscribe", "id": "all", "all": True}).encode()))
    await eventually(lambda: _somebody_follows(api))
    await orders.connection.execute(
        "INSERT INTO order_events (order_id, sequence, previous, status, data)"
        " SELECT %s, n + 1, 'pending', 'failed', jsonb_build_object('message', repeat('x', 1000000))"
        " FROM generate_series(1, 30) AS n",
        (order_id,),
    )
    await eventually(lambda: _nobody_follows(api))
    async with asyncio.timeout(websocket_protocol.SEND_SECONDS + 15):
        received = await reader.read(-1)
    writer.close()
    assert received.endswith((1013).to_bytes(2, "big") + stream.TOO_SLOW.reason.encode())


async def _somebody_follows(api: Api) -> bool:
    return not await _nobody_follows(api)


def _frame(payload: bytes) -> bytes:
    """A masked text frame, the mask being zero."""
    return b"\x81" + bytes([0x80 | len(payload)]) + b"\0\0\0\0" + payload

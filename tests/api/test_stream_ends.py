"""How a WebSocket ends: the codes, and what is said before."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, cast

import pytest

from app.api import server, stream, websocket_protocol
from app.api.websocket_protocol import WebSocketProtocol
from app.settings import Settings
from tests.stream.support import Orders
from tests.support.wire import wire_to_postgres

from .support import (
    DEADLINE,
    FLAT,
    NO_ORDER,
    PATHS,
    Api,
    a_settings,
    eventually,
    is_watched,
    messages_of,
    running_api,
    with_after,
)

A_MEGABYTE = 1_000_000
MALFORMED = [
    "/api/orders/execute",
    "/api/orders/execute?orderId=",
    "/api/orders/execute?orderId=x",
    "/api/orders/execute?id=" + NO_ORDER,
    f"/api/orders/execute?orderId={NO_ORDER}&orderId={NO_ORDER}",
    "/api/orders/execute?orderId=%00",
    "/api/orders/execute?orderId=%FF",
    "/api/orders/execute/ws",
    "/api/orders/execute/ws?orderId=" + NO_ORDER.replace("-", ""),
    "/ws/orders/x",
    "/ws/orders/%ED%A0%80",
    f"/ws/orders/{NO_ORDER}?after=-1",
    f"/ws/orders/{NO_ORDER}?after=x",
    f"/ws/orders/{NO_ORDER}?after=2147483648",
    f"/api/orders/execute?orderId={NO_ORDER}&after=1&after=1",
]


@pytest.mark.parametrize("path", PATHS)
async def test_an_order_that_does_not_exist_is_said_to_and_closed_with_4404(api: Api, path: str) -> None:
    async with api.watch(path.format(NO_ORDER)) as watcher:
        (message,) = await messages_of(watcher)

    assert (message["type"], message["code"]) == ("error", "unknown_order")
    assert message["message"]
    assert watcher.close_code == 4404


async def test_a_malformed_id_or_sequence_is_said_to_be_and_closed_with_4400(
    api: Api, subtests: pytest.Subtests
) -> None:
    for path in MALFORMED:
        with subtests.test(path=path):
            async with api.watch(path) as watcher:
                (message,) = await messages_of(watcher)

            assert (message["type"], message["code"]) == ("error", "invalid_parameter")
            assert watcher.close_code == 4400


async def test_a_sequence_that_the_order_has_not_reached_is_4400(api: Api) -> None:
    async with api.watch(with_after(FLAT.format(await api.placed()), 2)) as watcher:
        (message,) = await messages_of(watcher)

    assert "after" in message["message"]
    assert watcher.close_code == 4400


async def test_a_stopping_server_closes_with_1012(settings: Settings) -> None:
    async with running_api(settings) as api:
        order_id = await api.placed()
        async with api.watch(FLAT.format(order_id)) as watcher:
            await watcher.recv()
            await api.stop()
            assert await messages_of(watcher) == []

    assert watcher.close_code == 1012


async def test_a_database_that_is_away_is_said_to_be_and_closed_with_1013(
    database_url: str, redis_url: str
) -> None:
    async with (
        wire_to_postgres(database_url) as wire,
        running_api(a_settings(wire.through_url(database_url), redis_url)) as api,
    ):
        order_id = await api.placed()
        wire.cut()
        async with api.watch(FLAT.format(order_id)) as watcher:
            (message,) = await messages_of(watcher)

    assert (message["type"], message["code"]) == ("error", "storage_unavailable")
    assert watcher.close_code == 1013


async def test_a_watcher_that_leaves_is_forgotten_at_once(api: Api) -> None:
    order_id = await api.placed()
    async with api.watch(FLAT.format(order_id)) as watcher:
        await watcher.recv()
        assert await is_watched(api, order_id, by=1)
    await eventually(lambda: is_watched(api, order_id, by=0))

    async with api.watch(FLAT.format(order_id)) as watcher:
        await watcher.recv()
        watcher.transport.abort()
    await eventually(lambda: is_watched(api, order_id, by=0))


async def test_a_watcher_that_sends_too_much_at_once_is_closed_with_1009(api: Api) -> None:
    async with api.watch(FLAT.format(await api.placed())) as watcher:
        await watcher.send("x" * 5000)
        await messages_of(watcher)

    assert watcher.close_code == 1009


async def test_a_watcher_that_does_not_read_is_closed_with_1013(
    api: Api, orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_protocol, "SEND_SECONDS", 0.2)
    monkeypatch.setattr(websocket_protocol, "CLOSE_SECONDS", 3)
    monkeypatch.setattr(stream, "FIRST_SECONDS", DEADLINE)
    order_id = await _a_long_order(api, orders)

    reader, writer = await a_deaf_client(api, FLAT.format(order_id))
    await eventually(lambda: is_watched(api, order_id, by=1))
    await eventually(lambda: is_watched(api, order_id, by=0))
    async with asyncio.timeout(DEADLINE):
        received = await reader.read(-1)  # it listens again, and finds the end
    writer.close()

    reason = stream.TOO_SLOW.reason.encode()
    assert received.endswith(b"\x88" + bytes([2 + len(reason)]) + (1013).to_bytes(2, "big") + reason)


async def test_a_watcher_that_never_reads_again_is_cut_off(
    api: Api, orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_protocol, "SEND_SECONDS", 0.2)
    monkeypatch.setattr(websocket_protocol, "CLOSE_SECONDS", 0.2)
    order_id = await _a_long_order(api, orders)

    _, writer = await a_deaf_client(api, FLAT.format(order_id))
    await eventually(lambda: _is_cut_off(writer))


async def test_a_watcher_that_answers_no_ping_is_cut_off_though_something_is_unsent(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Undrained:
        """A transport some of whose bytes never leave: it would wait for ever with its end."""

        def __init__(self, transport: Any) -> None:
            self._transport = transport

        def __getattr__(self, name: str) -> Any:
            return getattr(self._transport, name)

        def close(self) -> None:
            pass

    class Stuck(WebSocketProtocol):
        def keepalive_timeout(self) -> None:
            self.transport = cast("Any", Undrained(self.transport))
            super().keepalive_timeout()

    monkeypatch.setattr(server, "WebSocketProtocol", Stuck)
    monkeypatch.setattr(server, "PING_SECONDS", 0.1)
    monkeypatch.setattr(websocket_protocol, "CLOSE_SECONDS", 0.2)
    async with running_api(settings) as api:
        order_id = await api.placed()
        _, writer = await a_deaf_client(api, FLAT.format(order_id))
        await eventually(lambda: is_watched(api, order_id, by=1))
        await eventually(lambda: is_watched(api, order_id, by=0))
        writer.close()


async def _a_long_order(api: Api, orders: Orders) -> str:
    """An order whose history no socket buffer holds."""
    order_id = await api.placed()
    await orders.connection.execute(
        """
        INSERT INTO order_events (order_id, sequence, previous, status, data)
        SELECT %s, n + 1,
               (CASE WHEN n = 1 THEN 'pending' WHEN n %% 2 = 1 THEN 'retrying' ELSE 'routing' END)::order_status,
               (CASE WHEN n %% 2 = 1 THEN 'routing' ELSE 'retrying' END)::order_status,
               jsonb_build_object('message', repeat('x', %s))
          FROM generate_series(1, 30) AS n
        """,
        (order_id, A_MEGABYTE),
    )
    return order_id


async def a_deaf_client(api: Api, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A WebSocket client that reads nothing after the handshake."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)  # the socket's own way
    await asyncio.get_running_loop().sock_connect(client, api.address)
    reader, writer = await asyncio.open_connection(sock=client, limit=1024)
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    async with asyncio.timeout(DEADLINE):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    return reader, writer


async def _is_cut_off(writer: asyncio.StreamWriter) -> bool:
    writer.write(b"\x8a\x80\x00\x00\x00\x00")  # an unsolicited pong, which is harmless while anybody is there
    return writer.transport.is_closing()

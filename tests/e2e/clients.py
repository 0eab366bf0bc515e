"""Clients of a running engine: orders over HTTP, steps over WebSocket."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedOK

STEPS: Final = ["pending", "routing", "building", "submitted", "confirmed"]
FLAT: Final = "/api/orders/execute?orderId={}"
FLAT_TOO: Final = "/api/orders/execute/ws?orderId={}"
ENVELOPED: Final = "/ws/orders/{}"
PATHS: Final = (FLAT, FLAT_TOO, ENVELOPED)

Json = dict[str, Any]
SECONDS: Final = 60.0  # after which nothing comes any more, on however busy a machine


def an_order(**fields: Any) -> Json:
    return {"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": 1.25, **fields}


@asynccontextmanager
async def client_of(url: str, *, address: str = "127.0.0.1") -> AsyncIterator[httpx.AsyncClient]:
    """A client that calls from this address: the engine counts the orders of each by itself."""
    limits = httpx.Limits(max_connections=50, max_keepalive_connections=50)
    transport = httpx.AsyncHTTPTransport(local_address=address, limits=limits, verify=False)
    async with httpx.AsyncClient(
        base_url=url, transport=transport, timeout=SECONDS, trust_env=False
    ) as client:
        yield client


async def place(client: httpx.AsyncClient, *, key: str | None = None, **fields: Any) -> str:
    """The id of a new order."""
    headers = {"idempotency-key": key} if key else {}
    response = await client.post("/api/orders/execute", json=an_order(**fields), headers=headers)
    assert response.status_code == 201, response.text
    order_id: str = response.json()["orderId"]
    return order_id


async def place_many(client: httpx.AsyncClient, number: int, **fields: Any) -> list[str]:
    """The ids of new orders that were placed at once."""
    return await asyncio.gather(*(place(client, **fields) for _ in range(number)))


async def get(client: httpx.AsyncClient, order_id: str) -> Json:
    response = await client.get(f"/api/orders/{order_id}")
    assert response.status_code == 200, response.text
    order: Json = response.json()
    return order


async def health_with_redis(client: httpx.AsyncClient) -> Json:
    """What `/health` says once Redis has answered in time: on a busy machine 50 ms may not be enough at first."""
    async with asyncio.timeout(SECONDS):
        while True:
            health: Json = (await client.get("/health")).json()
            if health["redis"] == "connected":
                return health
            await asyncio.sleep(0.05)


async def finished(client: httpx.AsyncClient, order_id: str, *, within: float = SECONDS) -> Json:
    """The order, when it has ended."""
    async with watching(client, order_id) as socket:
        await the_rest(socket, within=within)
    return await get(client, order_id)


async def slipped(client: httpx.AsyncClient, **fields: Any) -> Json:
    """An order that tolerates 1 bps, and fails; now and then one finds that the price has moved in its favour."""
    for _ in range(4):
        order = await finished(client, await place(client, slippageBps=1, **fields))
        if order["status"] == "failed":
            break
    return order


@asynccontextmanager
async def watching(
    client: httpx.AsyncClient, order_id: str, path: str = ENVELOPED
) -> AsyncIterator[ClientConnection]:
    url = str(client.base_url).replace("http", "ws", 1).rstrip("/") + path.format(order_id)
    async with connect(url, compression=None, proxy=None, open_timeout=SECONDS, ping_interval=None) as socket:
        yield socket


async def the_rest(socket: ClientConnection, *, within: float = SECONDS) -> list[Json]:
    """The messages that come until the server closes because the order is final."""
    messages = []
    async with asyncio.timeout(within):
        try:
            while True:
                messages.append(json.loads(await socket.recv()))
        except ConnectionClosedOK:
            pass
    assert socket.close_code == 1000, (socket.close_code, socket.close_reason)
    return messages


async def watch_to_the_end(client: httpx.AsyncClient, order_id: str, path: str = ENVELOPED) -> list[Json]:
    async with watching(client, order_id, path) as socket:
        return await the_rest(socket)


def statuses(messages: list[Json]) -> list[str]:
    """The steps, in order; fails unless they are numbered from 1 on without a gap."""
    assert [message["sequence"] for message in messages] == list(range(1, len(messages) + 1))
    return [message["status"] for message in messages]


async def until(holds: Callable[[], object], *, within: float = SECONDS) -> None:
    """Fails unless it holds at some time before the deadline (seconds); the event loop goes on meanwhile."""
    async with asyncio.timeout(within):
        while not holds():  # noqa: ASYNC110  # what is waited for happens in other processes
            await asyncio.sleep(0.02)


class Answer(NamedTuple):
    status: int
    body: Json


async def volley(urls: list[str], number: int, request: httpx.Request, *, address: str) -> list[Answer]:
    """The answers to so many copies of a request, all sent in one instant, each on a connection of its own.

    An HTTP client would send them a millisecond apart, and most would find the first one answered.
    """
    connections = [await _open(urls[i % len(urls)], address) for i in range(number)]
    message = _as_sent(request)
    for _, writer in connections:
        writer.write(message)
    async with asyncio.timeout(30):
        raw = await asyncio.gather(*(reader.read() for reader, _ in connections))
    for _, writer in connections:
        writer.close()
        await writer.wait_closed()
    return [_answer(answer) for answer in raw]


async def _open(url: str, address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    place = urlsplit(url)
    return await asyncio.open_connection(
        place.hostname, place.port, family=socket.AF_INET, local_addr=(address, 0)
    )


def _as_sent(request: httpx.Request) -> bytes:
    request.headers["connection"] = "close"
    head = [f"{request.method} {request.url.raw_path.decode()} HTTP/1.1".encode()]
    head += [name + b": " + value for name, value in request.headers.raw]
    return b"\r\n".join(head) + b"\r\n\r\n" + request.content


def _answer(raw: bytes) -> Answer:
    head, _, body = raw.partition(b"\r\n\r\n")
    return Answer(int(head.split()[1]), json.loads(body))

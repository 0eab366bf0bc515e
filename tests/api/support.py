"""An API that listens on a real port, and small builders for what is sent to it."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import httpx
import websockets
from litestar import Litestar

from app.api.app import create_app
from app.api.server import serve
from app.api.state import ApiState, OpenParts
from app.runtime import open_api, open_worker
from app.settings import Settings

DEADLINE: Final = 15.0  # seconds
CLOSED_PORT_REDIS: Final = "redis://127.0.0.1:1"  # nothing listens on port 1
NO_ORDER: Final = "01997d4e-6c3a-7c43-9f0b-0c9d1a4a8f11"
PATHS: Final = ("/api/orders/execute?orderId={}", "/api/orders/execute/ws?orderId={}", "/ws/orders/{}")
FLAT, OTHER_FLAT, ENVELOPED = PATHS


@dataclass(frozen=True)
class Api:
    """A running API; `http` and `watch` are a client's way to it."""

    app: Litestar
    address: tuple[str, int]
    http: httpx.AsyncClient
    stop: Callable[[], Coroutine[Any, Any, None]]

    @property
    def state(self) -> ApiState:
        state: ApiState = self.app.state["api"]
        return state

    def watch(self, path: str, **options: Any) -> websockets.connect:
        host, port = self.address
        return websockets.connect(f"ws://{host}:{port}{path}", open_timeout=DEADLINE, proxy=None, **options)

    async def place(self, key: str | None = None, /, **fields: Any) -> httpx.Response:
        headers = {} if key is None else {"Idempotency-Key": key}
        return await self.http.post("/api/orders/execute", json=an_order(**fields), headers=headers)

    async def placed(self, **fields: Any) -> str:
        """The id of an order that was just accepted."""
        answer = await self.place(**fields)
        assert answer.status_code == 201, answer.text
        order_id: str = answer.json()["orderId"]
        return order_id


@asynccontextmanager
async def running_api(settings: Settings, open_parts: OpenParts = open_api) -> AsyncIterator[Api]:
    app = create_app(settings, open_parts)
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    started = asyncio.Event()
    serving = asyncio.create_task(serve(app, settings, [listener], on_started=started.set))

    async def stop() -> None:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving

    url = f"http://127.0.0.1:{address[1]}"
    async with httpx.AsyncClient(base_url=url, timeout=DEADLINE, trust_env=False, verify=False) as http:
        waiting = asyncio.create_task(started.wait())
        await asyncio.wait({waiting, serving}, timeout=DEADLINE, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        assert started.is_set(), "the API did not start"
        try:
            yield Api(app, address, http, stop)
        finally:
            await stop()


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[None]:
    """A worker that executes what is queued."""
    async with open_worker(settings) as worker:
        running = asyncio.create_task(worker.run())
        try:
            yield
        finally:
            worker.stop()
            await running


def an_order(**fields: Any) -> dict[str, Any]:
    return {"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": 1.25, **fields}


def a_settings(database_url: str, redis_url: str, **fields: Any) -> Settings:
    quick: dict[str, Any] = {
        "api_max_orders_per_min": 0,
        "mock_dex_quote_delay_ms": 0,
        "mock_dex_execution_delay_ms": 0,
        "mock_dex_slot_ms": 0,
        "mock_dex_failure_rate": 0.0,
    }
    return Settings(database_url=database_url, redis_url=redis_url, **{**quick, **fields})


def check_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document, having every member that it must have."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "instance", "code"} <= problem.keys()
    assert (problem["status"], problem["code"], problem["type"]) == (status, code, f"/problems/{code}")
    return problem


def remaining(answer: httpx.Response) -> int:
    """How many orders the client has left, by the header."""
    found = re.fullmatch(r'"orders";r=(\d+);t=(\d+)', answer.headers["ratelimit"])
    assert found is not None, answer.headers["ratelimit"]
    assert 1 <= int(found[2]) <= 60
    return int(found[1])


async def messages_of(socket_: websockets.ClientConnection) -> list[dict[str, Any]]:
    """Every message until the server closes."""
    async with asyncio.timeout(DEADLINE):
        messages: list[dict[str, Any]] = []
        with suppress(websockets.ConnectionClosed):
            while True:
                messages.append(json.loads(await socket_.recv()))
    return messages


async def next_message(socket_: websockets.ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(DEADLINE):
        message: dict[str, Any] = json.loads(await socket_.recv())
    return message


async def eventually(holds: Callable[[], Awaitable[bool]], *, within: float = DEADLINE) -> None:
    async with asyncio.timeout(within):
        while not await holds():  # noqa: ASYNC110  # what others do has no event here
            await asyncio.sleep(0.02)


async def exchange(api: Api, sent: bytes) -> bytes:
    """What the server answers to these very bytes, up to the end of its first answer."""
    reader, writer = await asyncio.open_connection(*api.address)
    try:
        async with asyncio.timeout(DEADLINE):
            writer.write(sent)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            return head + (await reader.readexactly(int(length[1])) if length else b"")
    finally:
        writer.close()


async def is_watched(api: Api, order_id: str, by: int) -> bool:
    return len(api.state.parts.hub._subscriptions.get(UUID(order_id), ())) == by


def with_after(path: str, after: int) -> str:
    return f"{path}{'&' if '?' in path else '?'}after={after}"

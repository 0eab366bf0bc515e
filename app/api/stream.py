"""Watching an order: the three WebSocket paths, in two shapes, and what plain GETs of them are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import UUID

import structlog
from litestar import WebSocket as LitestarWebSocket
from litestar import get, websocket
from litestar.connection.base import empty_receive, empty_send
from litestar.exceptions import WebSocketDisconnect
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath

from app.api.messages import enveloped, error_message, flat
from app.api.parameters import AFTER_RANGE, Query, malformed, order_id_of
from app.api.problems import Refusal, refusal_for
from app.api.state import state_of
from app.errors import StorageUnavailable, UnknownOrder
from app.orders.model import OrderEvent
from app.storage.reader import OrderReader
from app.stream.hub import HubClosed, SlowConsumer, Subscription

CLOSE_SECONDS: Final = 1.0
FIRST_SECONDS: Final = 2.0

WebSocket: TypeAlias = LitestarWebSocket[Any, Any, Any]
Shape: TypeAlias = Callable[[OrderEvent], str]

log = structlog.get_logger()


class Close(NamedTuple):
    """How a stream ends: the code and reason of the close frame, and what is said before it."""

    code: int
    reason: str
    message: str | None = None


FINISHED: Final = Close(1000, "the order is final")
SHUTTING_DOWN: Final = Close(1012, "the server is restarting; resume with ?after=")
TOO_SLOW: Final = Close(1013, "messages were not read in time; resume with ?after=")
CODES: Final = {"invalid_parameter": 4400, "unknown_order": 4404, "storage_unavailable": 1013}
FAULT: Final = 1011


@websocket(["/api/orders/execute", "/api/orders/execute/ws"], name="watchFlat")
async def watch_flat(socket: WebSocket) -> None:
    await _serve(socket, None, flat)


@websocket("/ws/orders/{order_id:str}", name="watchEnveloped")
async def watch_enveloped(socket: WebSocket, order_id: FromPath[str]) -> None:
    await _serve(socket, order_id, enveloped)


async def _serve(socket: WebSocket, path_id: str | None, shape: Shape) -> None:
    with let_go(socket):
        await socket.accept()
        watching = asyncio.create_task(_watch(socket, path_id, shape))
        try:
            # What clients send is read and ignored. It ends when the client leaves, between two events too, and when
            # the stream is closed from here.
            while (await socket.receive())["type"] != "websocket.disconnect":
                pass
        finally:
            watching.cancel()
            await asyncio.wait({watching})


@contextmanager
def let_go(socket: WebSocket) -> Iterator[None]:
    """In the end, lets go of the connection.

    Litestar's socket and the functions that it wraps hold each other, and with them all that belongs to the connection:
    it would stay in memory until a full garbage collection, which is rare.
    """
    try:
        yield
    finally:
        socket.receive, socket.send = empty_receive, empty_send


async def _watch(socket: WebSocket, path_id: str | None, shape: Shape) -> None:
    close: Close | None = FINISHED
    try:
        await _send_events(socket, path_id, shape)
    except Exception as error:  # noqa: BLE001  # whatever it is, the client is told how the stream ends
        close = close_for(error)
    if close is not None:
        await finish(socket, close)


async def finish(socket: WebSocket, close: Close) -> None:
    """Says why, and closes."""
    with suppress(WebSocketDisconnect, OSError):  # it has left meanwhile
        if close.message is not None:
            await send(socket, close.message)
        async with asyncio.timeout(CLOSE_SECONDS):
            await socket.close(close.code, close.reason)


async def _send_events(socket: WebSocket, path_id: str | None, shape: Shape) -> None:
    parts = state_of(socket).parts
    query = Query(socket.scope["query_string"])
    order_id = order_id_of(query.text("orderId") if path_id is None else path_id)
    after = query.number("after", AFTER_RANGE, 0)
    if after and await _is_over(parts.reader, order_id, after):
        return
    async with parts.hub.subscribe(order_id, after) as events:
        if not after:
            await send(socket, shape(await _first(events)))
        async for event in events:
            await send(socket, shape(event))


async def _first(events: Subscription) -> OrderEvent:
    """The first event, which every order has. Raises UnknownOrder or StorageUnavailable."""
    try:
        async with asyncio.timeout(FIRST_SECONDS):
            return await anext(events)
    except TimeoutError:
        raise StorageUnavailable("the ledger cannot be read") from None


async def _is_over(reader: OrderReader, order_id: UUID, after: int) -> bool:
    """Whether nothing will follow. Raises UnknownOrder, and Refusal where nothing can have preceded."""
    head = await reader.head(order_id)
    if head is None:
        raise UnknownOrder(str(order_id))
    if after > head.sequence and not head.status.is_final:
        raise malformed("after", f"is past the order's last event, which is {head.sequence}")
    return head.status.is_final and after >= head.sequence


async def send(socket: WebSocket, message: str) -> None:
    """Raises TimeoutError when the client does not read: see WebSocketProtocol."""
    await socket.send_text(message)


def close_for(error: Exception) -> Close | None:
    """How the stream ends with this error; None: the client has left."""
    if isinstance(error, SlowConsumer | TimeoutError):
        return TOO_SLOW
    if isinstance(error, HubClosed):
        return SHUTTING_DOWN
    if isinstance(error, WebSocketDisconnect | OSError):
        return None
    refusal = refusal_for(error)
    if refusal.code not in CODES:
        log.error("stream.failed", exc_info=error)
    return Close(CODES.get(refusal.code, FAULT), refusal.code, error_message(refusal))


async def refuse_plain_get() -> None:
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade"}
    raise Refusal("upgrade_required", headers=upgrade)


stream_handlers: Final[list[BaseRouteHandler]] = [
    watch_flat,
    watch_enveloped,
    get("/api/orders/execute", name="watchOrder")(refuse_plain_get),
    get("/api/orders/execute/ws", name="watchOrderHere")(refuse_plain_get),
    get("/ws/orders/{order_id:str}", name="watchOrderEnveloped")(refuse_plain_get),
]

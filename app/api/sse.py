"""The same streams as Server-Sent Events, for clients that have no WebSocket.

Source: HTML Standard, section 9.2 (Server-sent events).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from time import monotonic
from typing import Any, Final, TypeAlias
from uuid import UUID

import structlog
from litestar import Request as LitestarRequest
from litestar import get
from litestar.types import HTTPResponseBodyEvent, Receive, Scope, Send

from app.api.followed import find_followed, follow_order
from app.api.messages import logged
from app.api.parameters import POSITION_RANGE, Query, malformed, order_id_of, whole_number
from app.api.parts import ApiParts
from app.api.state import state_of
from app.errors import EngineError
from app.execution.intake import DEFAULT_ACCOUNT
from app.orders.model import LogEntry
from app.stream.log import Interest, LogGap

HEARTBEAT_SECONDS: Final = 5.0  # of silence
HEARTBEAT: Final = ": heartbeat\n\n"
LAST_EVENT_ID: Final = "Last-Event-ID"

RETRY_MS: Final = 1000  # after which a client that was cut off comes back

Frames: TypeAlias = AsyncGenerator[str, None]

Request: TypeAlias = LitestarRequest[Any, Any, Any]

log = structlog.get_logger()


class EventStream:
    """An ASGI application that answers with these frames, and a comment after each while of silence."""

    __slots__ = ("_first", "_frames", "_said_at", "_stopping")

    def __init__(self, first: str, frames: Frames, stopping: asyncio.Event) -> None:
        self._first = first
        self._frames = frames
        self._stopping = stopping
        self._said_at = 0.0

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        headers = [
            (b"content-type", b"text/event-stream"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),  # nginx would keep the frames until it has a page of them
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        work: list[Coroutine[Any, Any, Any]] = [
            self._write(send), self._beat(send), _left(receive), self._stopping.wait(),
        ]  # fmt: skip
        tasks = [asyncio.create_task(part) for part in work]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        _report(tasks)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(self, send: Send) -> None:
        async with aclosing(self._frames) as frames:
            await self._say(send, self._first)
            async for frame in frames:
                await self._say(send, frame)

    async def _beat(self, send: Send) -> None:
        self._said_at = monotonic()
        while True:
            quiet = self._said_at + HEARTBEAT_SECONDS - monotonic()
            if quiet > 0:
                await asyncio.sleep(quiet)
            else:
                await self._say(send, HEARTBEAT)

    async def _say(self, send: Send, frame: str) -> None:
        body: HTTPResponseBodyEvent = {
            "type": "http.response.body", "body": frame.encode(), "more_body": True,
        }  # fmt: skip
        await send(body)
        self._said_at = monotonic()


@get("/api/stream", name="streamEvents")
async def stream_events(request: Request) -> EventStream:
    state = state_of(request)
    query = Query(request.scope["query_string"])
    order, wallet, after = query.text("orderId"), query.wallet(), _after(request, query)
    if order is not None and wallet is not None:
        raise malformed("wallet", "cannot be given together with orderId")
    if order is not None:
        frames = _order_frames(state.parts, order_id_of(order), after or 0)
    else:
        frames = _log_frames(state.parts, Interest(DEFAULT_ACCOUNT, wallet), after)
    # What is wrong with the request shows before the first frame, while there can still be another answer.
    return EventStream(await anext(frames), frames, state.stopping)


def _after(request: Request, query: Query) -> int | None:
    """What the client has seen: a browser that comes back says so in a header."""
    last = request.headers.get(LAST_EVENT_ID)
    if last is not None:
        return whole_number(LAST_EVENT_ID, last, POSITION_RANGE)
    text = query.text("after")
    return None if text is None else whole_number("after", text, POSITION_RANGE)


async def _order_frames(parts: ApiParts, order_id: UUID, after: int) -> Frames:
    order = await find_followed(parts, order_id, 0)
    sequence = await parts.log.reader.sequence_at(order_id, after)
    yield _beginning(after)
    async with aclosing(follow_order(parts, order, sequence)) as entries:
        async for entry in entries:
            yield _status(entry)
    yield f'event: end\ndata: {{"orderId":"{order_id}"}}\n\n'


async def _log_frames(parts: ApiParts, interest: Interest, after: int | None) -> Frames:
    async with parts.log.follow(interest) as follower:
        head = await follower.start(after)
        yield _beginning(head if after is None else after)
        try:
            async for entry in follower:
                yield _status(entry)
        except LogGap as gap:
            yield f'event: gap\ndata: {{"after":{gap.after},"oldest":{gap.oldest}}}\n\n'


def _beginning(position: int) -> str:
    """No event, but whoever is cut off before the first one comes back to where it was."""
    return f"retry: {RETRY_MS}\nid: {position}\n\n"


def _status(entry: LogEntry) -> str:
    return f"id: {entry.position}\nevent: status\ndata: {logged(entry)}\n\n"


async def _left(receive: Receive) -> None:
    """Until the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _report(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        if (
            not task.cancelled()
            and (error := task.exception())
            and not isinstance(error, EngineError | OSError)
        ):
            log.error("stream.failed", exc_info=error)

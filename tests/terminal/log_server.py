"""A tiny server of a log: it speaks the protocol of `/ws`, and misbehaves where it is told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from .support import ORDER, STATUSES

Json = dict[str, Any]


class LogServer:
    """`events` are its log; what it was asked for is in `asked`."""

    def __init__(self) -> None:
        self.url = ""
        self.events: list[Json] = []
        self.asked: list[Json] = []
        self.oldest = 0  # the first position that can be followed from
        self.cut_every = 0  # events after which a connection is aborted; 0: never
        self.close_with: int | None = None  # instead, this code
        self.repeats = 1  # how often each event is sent
        self.refusals: list[Json] = []  # what the next subscriptions are told instead
        self.pages: dict[str, Callable[[], tuple[int, Any]]] = {}  # what a GET is answered, by path
        self.asked_pages = 0
        self.is_mute = False  # it says nothing
        self.is_away = False  # it hangs up at once
        self._connections: set[ServerConnection] = set()
        self._grown = asyncio.Condition()
        self._positions = count(10, 3)  # a log has gaps in its positions

    async def append(
        self,
        status: str,
        sequence: int | None = None,
        *,
        order_id: str = ORDER,
        data: Mapping[str, Any] | None = None,
        order: Mapping[str, Any] | None = None,
    ) -> int:
        """The position of a new event."""
        position = next(self._positions)
        event = {
            "type": "event",
            "position": position,
            "orderId": order_id,
            "sequence": sequence or STATUSES.index(status) + 1,
            "status": status,
            "timestamp": "2026-11-20T12:00:00.000Z",
            "data": dict(data or {}),
        } | ({"order": dict(order)} if order else {})
        async with self._grown:
            self.events.append(event)
            self._grown.notify_all()
        return position

    @property
    def position(self) -> int:
        return self.events[-1]["position"] if self.events else 0

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        page = self.pages.get(request.path.partition("?")[0])
        if page is None:
            return None
        self.asked_pages += 1
        status, body = page()
        return connection.respond(status, json.dumps(body))

    def cut(self) -> None:
        for connection in self._connections:
            connection.transport.abort()

    async def serve(self, connection: ServerConnection) -> None:
        self._connections.add(connection)
        if self.is_away:
            return
        talk = asyncio.create_task(self._talk(connection))
        await connection.wait_closed()
        talk.cancel()

    async def _talk(self, connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            async for message in connection:
                request = json.loads(message)
                self.asked.append(request)
                if self.is_mute:
                    continue
                if self.refusals:
                    await connection.send(json.dumps({"id": request["id"], **self.refusals.pop(0)}))
                    continue
                await self._follow(connection, request)

    async def _follow(self, connection: ServerConnection, request: Json) -> None:
        after = request.get("after", self.position)
        if not self.oldest <= after <= self.position:
            gap = {"type": "gap", "id": request["id"], "after": after, "oldest": self.oldest}
            await connection.send(json.dumps(gap))
            return
        standing = {"type": "subscribed", "id": request["id"], "position": self.position}
        await connection.send(json.dumps(standing))
        await connection.send('{"type": "heartbeat", "ts": "2026-11-20T12:00:00.000Z", "position": 99999}')
        await connection.send('{"type": "of a later version"}')
        for sent in count():
            event = await self._next_event(after)
            if self.cut_every and sent == self.cut_every:
                await self._cut(connection)
                return
            for _ in range(self.repeats):
                await connection.send(json.dumps({"id": request["id"], **event}))
            after = event["position"]

    async def _next_event(self, after: int) -> Json:
        async with self._grown:
            while True:
                for event in self.events:
                    if event["position"] > after:
                        return event
                await self._grown.wait()

    async def _cut(self, connection: ServerConnection) -> None:
        if self.close_with is None:
            connection.transport.abort()
        else:
            await connection.close(self.close_with)


@asynccontextmanager
async def log_server() -> AsyncIterator[LogServer]:
    log = LogServer()
    async with serve(log.serve, "127.0.0.1", 0, process_request=log.answer) as server:
        log.url = f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        yield log
        server.close()

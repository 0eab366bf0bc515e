"""One WebSocket for many subscriptions: to single orders, to a wallet, to all orders of the account."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial
from time import monotonic
from typing import Any, Final

import msgspec
from litestar import get, websocket
from litestar.handlers import BaseRouteHandler

from app.api.followed import find_followed, follow_order
from app.api.messages import logged
from app.api.problems import refusal_for
from app.api.state import ApiState, state_of
from app.api.stream import Close, WebSocket, close_for, finish, let_go, refuse_plain_get, send
from app.api.subscriptions import (
    ClientMessage,
    InvalidMessage,
    Ping,
    Subscribe,
    Unsubscribe,
    order_of,
    parse_message,
)
from app.api.times import iso_now
from app.execution.intake import DEFAULT_ACCOUNT
from app.orders.model import LogEntry
from app.stream.hub import HubClosed, SlowConsumer
from app.stream.log import Follower, Interest, LogGap

MAX_SUBSCRIPTIONS: Final = 64  # of one connection
HEARTBEAT_SECONDS: Final = 5.0  # of silence

# What an error message may say, beside the refusals of the API.
ERRORS: Final = {
    "invalid_message": "The message cannot be understood.",
    "subscription_exists": "A subscription with this id exists.",
    "unknown_subscription": "There is no subscription with this id.",
    "too_many_subscriptions": f"A connection has at most {MAX_SUBSCRIPTIONS} subscriptions.",
}


@websocket("/ws", name="multiplex")
async def multiplex(socket: WebSocket) -> None:
    with let_go(socket):
        await socket.accept()
        close = await Session(socket, state_of(socket)).run()
        if close is not None:
            await finish(socket, close)


class Session:
    """One connection and its subscriptions."""

    def __init__(self, socket: WebSocket, state: ApiState) -> None:
        self._socket = socket
        self._parts = state.parts
        self._subscriptions: dict[str, asyncio.Task[None]] = {}
        self._followers: dict[str, Follower] = {}
        self._ended: asyncio.Future[Close | None] = asyncio.get_running_loop().create_future()
        self._position = 0  # of the log, mentioned last
        self._said_at = monotonic()

    async def run(self) -> Close | None:
        """Until the client leaves (None) or has to be told how it ends."""
        tasks = [asyncio.create_task(self._guarded(work)) for work in (self._listen, self._beat)]
        try:
            return await self._ended
        finally:
            tasks += self._subscriptions.values()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001  # whatever it is, the client is told how the stream ends
            self._end(close_for(error))

    def _end(self, close: Close | None) -> None:
        if not self._ended.done():
            self._ended.set_result(close)

    async def _listen(self) -> None:
        while (event := await self._socket.receive())["type"] != "websocket.disconnect":
            try:
                await self._take(parse_message(str(event.get("text") or "")))
            except InvalidMessage as error:
                await self._say_error("invalid_message", str(error), error.id)
        self._end(None)

    async def _beat(self) -> None:
        while True:
            quiet = self._said_at + HEARTBEAT_SECONDS - monotonic()
            if quiet > 0:
                await asyncio.sleep(quiet)
            else:
                await self._say({"type": "heartbeat", "ts": iso_now(), "position": self._reached()})

    def _reached(self) -> int:
        """A position from which each of the subscriptions to the log can be resumed."""
        positions = [follower.position for follower in self._followers.values()]
        return min(positions, default=self._position)

    async def _take(self, message: ClientMessage) -> None:
        match message:
            case Ping():
                await self._say({"type": "pong"})
            case Unsubscribe():
                await self._unsubscribe(message.id)
            case Subscribe(id=id_) if id_ in self._subscriptions:
                await self._say_error("subscription_exists", about=id_)
            case Subscribe(id=id_) if len(self._subscriptions) >= MAX_SUBSCRIPTIONS:
                await self._say_error("too_many_subscriptions", about=id_)
            case Subscribe(id=id_):
                self._subscriptions[id_] = asyncio.create_task(self._guarded(partial(self._serve, message)))

    async def _unsubscribe(self, id_: str) -> None:
        task = self._subscriptions.pop(id_, None)
        if task is None:
            await self._say_error("unknown_subscription", about=id_)
            return
        task.cancel()
        await asyncio.wait({task})
        await self._say({"type": "unsubscribed", "id": id_})

    async def _serve(self, message: Subscribe) -> None:
        """One subscription, to its end. The id is free again before the client hears of the end."""
        try:
            serve = self._serve_log if message.order_id is None else self._serve_order
            last = await serve(message)
        except LogGap as gap:
            last = {"type": "gap", "id": message.id, "after": gap.after, "oldest": gap.oldest}
        except (HubClosed, SlowConsumer):
            raise
        except Exception as error:
            refusal = refusal_for(error)
            if refusal.code == "internal_error":
                raise
            last = {"type": "error", "id": message.id, "code": refusal.code, "message": refusal.detail}
        finally:
            if self._subscriptions.get(message.id) is asyncio.current_task():
                del self._subscriptions[message.id]
        await self._say(last)

    async def _serve_order(self, message: Subscribe) -> dict[str, Any]:
        after = message.after or 0
        order = await find_followed(self._parts, order_of(message), after)
        await self._say_subscribed(message.id, (await self._parts.log.reader.ends()).head)
        async with aclosing(follow_order(self._parts, order, after)) as entries:
            async for entry in entries:
                await self._say_event(message.id, entry)
        return {"type": "unsubscribed", "id": message.id, "reason": "end"}

    async def _serve_log(self, message: Subscribe) -> dict[str, Any]:
        async with self._parts.log.follow(Interest(DEFAULT_ACCOUNT, message.wallet)) as follower:
            await self._say_subscribed(message.id, await follower.start(message.after))
            self._followers[message.id] = follower
            try:
                async for entry in follower:
                    await self._say_event(message.id, entry)
            finally:
                del self._followers[message.id]
        raise AssertionError("the log has no end")

    async def _say_subscribed(self, id_: str, head: int) -> None:
        await self._say({"type": "subscribed", "id": id_, "position": head})
        self._position = max(self._position, head)

    async def _say_event(self, id_: str, entry: LogEntry) -> None:
        await self._send(f'{{"type":"event","id":{_quoted(id_)},{logged(entry)[1:]}')
        self._position = max(self._position, entry.position)

    async def _say_error(self, code: str, detail: str | None = None, about: str | None = None) -> None:
        ids = {} if about is None else {"id": about}
        await self._say({"type": "error", **ids, "code": code, "message": detail or ERRORS[code]})

    async def _say(self, message: dict[str, Any]) -> None:
        await self._send(msgspec.json.encode(message).decode())

    async def _send(self, text: str) -> None:
        await send(self._socket, text)
        self._said_at = monotonic()


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


multiplex_handlers: Final[list[BaseRouteHandler]] = [
    multiplex,
    get("/ws", name="subscribe")(refuse_plain_get),
]

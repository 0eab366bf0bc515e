"""Following the log of all orders over one WebSocket: every event once and in order, through cuts."""

from __future__ import annotations

import asyncio
from typing import Final, NoReturn, Protocol

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from app.terminal.connection import PATIENCE, NotFollowed, Patience, open_websocket
from app.terminal.render import Step, printable, step_of_message

SILENCE_SECONDS: Final = 15.0  # three heartbeats
SUBSCRIPTION: Final = "feed"
# What a server says that can take no subscription now but soon may.
PASSING: Final = frozenset({"storage_unavailable"})


class Watcher(Protocol):
    """Whoever is told of the events."""

    def standing(self, position: int) -> None:
        """The subscription stands; what comes after this position of the log is told."""

    def heard(self, step: Step) -> None:
        """The next event."""

    def cut(self) -> None:
        """The connection is lost; what happens meanwhile is told when there is another one."""

    async def missed(self, after: int, oldest: int) -> int:
        """Events after this position are not kept any more, only those from the oldest on; where to go on from."""


class _Subscribed(msgspec.Struct, tag="subscribed", tag_field="type"):
    position: int


class _Gap(msgspec.Struct, tag="gap", tag_field="type"):
    after: int
    oldest: int


class _Error(msgspec.Struct, tag="error", tag_field="type"):
    code: str
    message: str


_ANSWERS: Final = msgspec.json.Decoder(_Subscribed | _Gap | _Error)


async def follow_log(
    base_url: str,
    watcher: Watcher,
    *,
    after: int | None = None,
    wallet: str | None = None,
    patience: Patience | None = None,
) -> NoReturn:
    """Tells of every event after this position of the log (default: from now on), of one wallet or of all orders.

    Each once and in order, however often the connection is cut. Raises NotFollowed when the engine was never there, has
    been away for too long, or refuses.
    """
    await _LogFeed(base_url, watcher, after, wallet, patience or Patience(base_url, PATIENCE)).run()


class _LogFeed:
    def __init__(
        self, base_url: str, watcher: Watcher, after: int | None, wallet: str | None, patience: Patience
    ) -> None:
        self._base_url = base_url
        self._watcher = watcher
        self._cursor = after  # the position of the last event told, or of the log when the subscription stood
        self._whose = {"wallet": wallet} if wallet else {"all": True}
        self._patience = patience

    async def run(self) -> NoReturn:
        while True:
            try:
                await self._follow()
            except InvalidStatus as error:
                self._patience.judge_refusal(error.response.status_code)
            except (OSError, TimeoutError, WebSocketException, httpx.HTTPError) as error:
                self._patience.judge_cut(error)
            if not self._patience.is_tried:
                self._watcher.cut()
            await self._patience.pause()

    async def _follow(self) -> None:
        async with open_websocket(self._base_url, "/ws") as socket:
            self._patience.opened()
            try:
                await self._subscribe(socket)
                while True:
                    async with asyncio.timeout(SILENCE_SECONDS):
                        message = await socket.recv()
                    await self._take(message, socket)
            except ConnectionClosed:
                self._patience.closed()
                raise

    async def _subscribe(self, socket: ClientConnection) -> None:
        cursor = {} if self._cursor is None else {"after": self._cursor}
        request = {"type": "subscribe", "id": SUBSCRIPTION, **self._whose, **cursor}
        await socket.send(msgspec.json.encode(request).decode())

    async def _take(self, message: str | bytes, socket: ClientConnection) -> None:
        try:
            step = step_of_message(message)
        except msgspec.DecodeError:
            await self._take_answer(message, socket)
            return
        if self._cursor is None or step.position > self._cursor:
            self._cursor = step.position
            self._patience.renew()
            self._watcher.heard(step)

    async def _take_answer(self, message: str | bytes, socket: ClientConnection) -> None:
        try:
            answer = _ANSWERS.decode(message)
        except msgspec.DecodeError:  # a heartbeat, or what a later version says
            return
        match answer:
            case _Subscribed(position):
                if self._cursor is None:
                    self._cursor = position
                self._patience.renew()
                self._watcher.standing(self._cursor)
            case _Gap(after, oldest):
                self._cursor = await self._watcher.missed(after, oldest)
                await self._subscribe(socket)
            case _Error(code, why):
                if code in PASSING:
                    raise TimeoutError
                raise NotFollowed(f"{self._base_url} cannot be followed: {printable(why)}")

"""Following one order over WebSocket, through cuts, until it ends."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import httpx
import msgspec
from rich.console import Console
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from app.orders.lifecycle import Status
from app.terminal.connection import PATIENCE, NotFollowed, Patience, http_client, open_websocket
from app.terminal.render import Step, printable, refusal_of_message, step_of_message, watch_line
from app.terminal.screen import open_console

CONFIRMED: Final = 0
FAILED: Final = 1
NOT_FOLLOWED: Final = 2

_FINISHED: Final = 1000
_REFUSED: Final = range(4000, 5000)  # the server says that asking again is pointless


class _Over(Exception):  # noqa: N818
    """The order has ended; the watch ends with this exit code."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


async def watch(
    base_url: str,
    order_id: str,
    *,
    after: int = 0,
    console: Console | None = None,
    patience: float = PATIENCE,
) -> int:
    """Shows the order's steps after this sequence as they happen.

    0: confirmed, 1: failed, 2: the order or the server was not found; the reason has been printed then.
    """
    follower = _Follower(base_url, order_id, after, console or open_console(), patience)
    try:
        await follower.run()
    except _Over as over:
        return over.exit_code
    except NotFollowed as error:
        follower.console.print(str(error))
    return NOT_FOLLOWED


class _Follower:
    def __init__(self, base_url: str, order_id: str, after: int, console: Console, patience: float) -> None:
        self.console = console
        self._base_url = base_url
        self._order_id = order_id
        self._last = after  # the sequence of the last step shown
        self._previous: Step | None = None
        self._patience = Patience(base_url, patience)
        self._refusal = ""  # what the server said before it closed

    async def run(self) -> None:
        while True:
            try:
                await self._follow()
            except InvalidStatus as error:
                self._patience.judge_refusal(error.response.status_code)
            except (OSError, TimeoutError, WebSocketException) as error:
                self._patience.judge_cut(error)
            if not self._patience.is_tried:
                self.console.print("     connection lost, reconnecting", style="dim")
            await self._patience.pause()

    async def _follow(self) -> None:
        """Shows steps until the connection ends; returns when it is worth another one."""
        path = f"/ws/orders/{quote(self._order_id, safe='')}?after={self._last}"
        async with open_websocket(self._base_url, path) as socket:
            self._patience.opened()
            try:
                await self._show_steps(socket)
            except ConnectionClosed:
                await self._judge_close(socket.close_code, socket.close_reason)
            self._patience.closed()
        self._patience.judge_cut(None)

    async def _show_steps(self, socket: ClientConnection) -> None:
        while True:
            # No deadline: an order may rest for hours; the library's pings notice a dead server.
            message = await socket.recv()
            try:
                step = step_of_message(message)
            except msgspec.DecodeError:
                self._refusal = refusal_of_message(message)
                continue
            if step.sequence <= self._last:
                continue
            if step.sequence > self._last + 1:
                return  # a step is missing: ask again from the last one shown
            self.console.print(watch_line(step, self._previous))
            self._last, self._previous = step.sequence, step
            self._patience.renew()
            if step.is_final:
                raise _Over(CONFIRMED if step.status == Status.CONFIRMED else FAILED)

    async def _judge_close(self, code: int | None, reason: str | None) -> None:
        if code == _FINISHED:
            await self._judge_ended()
        elif code is not None and code in _REFUSED:
            why = self._refusal or printable(reason or "") or f"the server closed with code {code}"
            raise NotFollowed(f"Order {printable(self._order_id)} cannot be followed: {why}")

    async def _judge_ended(self) -> None:
        """The order had ended before the step from which we asked: its status says how."""
        try:
            async with http_client(self._base_url) as client:
                response = await client.get(f"/api/orders/{quote(self._order_id, safe='')}")
                status = response.json()["status"]
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return
        if status in (Status.CONFIRMED, Status.FAILED):
            self.console.print(f"The order is {status}; there is nothing after step {self._last}.")
            raise _Over(CONFIRMED if status == Status.CONFIRMED else FAILED)

"""WebSocket clients that cost little: raw RFC 6455, text frames in, pong and close out."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from time import perf_counter, time
from typing import Final, cast

import click

ENDS: Final = (b'"status":"confirmed"', b'"status":"failed"')
FIRST_PAUSE: Final = 0.2  # seconds before a client that was cut off comes again; doubles, with jitter
LAST_PAUSE: Final = 5.0
_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10


class Watcher(asyncio.Protocol):
    """Follows one order; `left` is told when the connection is gone."""

    __slots__ = ("_held", "_left", "_transport", "ended", "losses", "opened", "order_id", "seen", "since")

    def __init__(self, order_id: str, since: float, left: Callable[[Watcher], None] | None = None) -> None:
        self.order_id = order_id
        self.since = since  # when the order should have been posted, by perf_counter
        self.opened = 0.0  # wall clock
        self.ended: float | None = None  # when the final event came, by perf_counter
        self.seen: list[tuple[int, float]] = []  # sequence and wall clock of each event
        self.losses = 0  # connections
        self._left = left
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.opened, self._held = 0.0, b""
        self._transport = cast("asyncio.WriteTransport", transport)
        self._transport.write(
            b"GET /api/orders/execute?orderId=%b&after=%d HTTP/1.1\r\nhost: 127.0.0.1\r\nupgrade: websocket\r\n"
            b"connection: Upgrade\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            b"sec-websocket-version: 13\r\n\r\n"
            % (self.order_id.encode(), self.seen[-1][0] if self.seen else 0)
        )

    def data_received(self, data: bytes) -> None:
        if self._held:
            data = self._held + data
        if not self.opened:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._held = data
                return
            if b" 101 " not in data[:20]:
                self._transport.close()
                return
            self.opened = time()
            data = data[end + 4 :]
        self._held = self._frames(data)

    def _frames(self, data: bytes) -> bytes:
        """Takes whole frames; what is left of the data. Frames of a server are not masked."""
        while len(data) >= 2:
            start, size = 2, data[1]
            if size == 126:
                start, size = 4, int.from_bytes(data[2:4], "big")
            if len(data) < start + size:
                break
            self._frame(data[0] & 0x0F, data[start : start + size])
            data = data[start + size :]
        return data

    def _frame(self, opcode: int, content: bytes) -> None:
        if opcode == _TEXT and b'"sequence":' in content:
            at = content.find(b'"sequence":') + 11
            self.seen.append((int(content[at : content.index(b",", at)]), time()))
            if any(end in content for end in ENDS):
                self.ended = perf_counter()
        elif opcode == _PING:
            self._send(_PONG, content)
        elif opcode == _CLOSE:
            self._send(_CLOSE, content)
            self._transport.close()

    def _send(self, opcode: int, content: bytes) -> None:
        # Masked with zeros, which the protocol allows and which costs nothing.
        self._transport.write(bytes([0x80 | opcode, 0x80 | len(content), 0, 0, 0, 0]) + content)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._left is not None:
            self._left(self)

    def close(self) -> None:
        self._left = None
        self._transport.abort()

    @property
    def is_complete(self) -> bool:
        """Whether it saw every event once and in order, to the final one."""
        return self.ended is not None and [n for n, _ in self.seen] == list(range(1, len(self.seen) + 1))


class Gallery:
    """Watchers that come and go."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._opening: set[asyncio.Task[None]] = set()
        self.watchers: list[Watcher] = []
        self._present = 0
        self.resumed = 0  # connections that ended before their order did, and were opened again

    def watch(self, order_id: str, since: float) -> None:
        self._present += 1
        watcher = Watcher(order_id, since, self._leave)
        self.watchers.append(watcher)
        self._open(watcher)

    def _open(self, watcher: Watcher) -> None:
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._connect(watcher))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _connect(self, watcher: Watcher) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: watcher, "127.0.0.1", self._port)
        except OSError:
            self._leave(watcher)

    def _leave(self, watcher: Watcher) -> None:
        if watcher.ended is not None:
            self._present -= 1
        else:  # what the documentation tells clients to do
            self.resumed += 1
            watcher.losses += 1
            pause = min(LAST_PAUSE, FIRST_PAUSE * 2 ** (watcher.losses - 1)) * random.uniform(0.5, 1)
            asyncio.get_running_loop().call_later(pause, self._open, watcher)

    async def until_empty(self, within: float) -> None:
        """Waits until the last one has left. Ends the run when one did not see every event once and in order."""
        deadline = perf_counter() + within
        while self._present and perf_counter() < deadline:
            await asyncio.sleep(0.005)
        if self.resumed:
            click.echo(f"  {self.resumed} WebSockets were cut off, and resumed", err=True)
        wrong = [watcher for watcher in self.watchers if not watcher.is_complete]
        if wrong:
            shown = [(watcher.order_id, watcher.seen) for watcher in wrong[:3]]
            raise SystemExit(
                f"{len(wrong)} of {len(self.watchers)} watchers did not see every event once and in order, "
                f"for example {shown}"
            )

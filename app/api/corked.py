"""A transport that sends what is written in one turn of the event loop at once."""

from __future__ import annotations

import asyncio
from typing import Any, Final

MOST_KEPT: Final = 16 * 1024  # bytes; more is not held back


class Corked:
    """Every write of uvloop's transports is a system call, and a packet that wakes the peer.

    The head of an answer and its body, the last event of an order and the close frame leave together here: nothing waits
    for longer than what the loop has to do anyway.
    """

    __slots__ = ("_kept", "_loop", "_size", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._kept: list[bytes] | None = None  # None: no flush is due
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not data:  # as after the end of a WebSocket, where nothing can be sent
            return
        if self._kept is None:
            self._kept = []
            self._loop.call_soon(self._flush)
        self._kept.append(data)
        self._size += len(data)
        if self._size > MOST_KEPT:
            self._send()

    def write_eof(self) -> None:
        self._send()
        self._transport.write_eof()

    def close(self) -> None:
        self._send()
        self._transport.close()

    def _flush(self) -> None:
        self._send()
        self._kept = None

    def _send(self) -> None:
        if self._kept:
            data = b"".join(self._kept)
            self._kept, self._size = [], 0
            if not self._transport.is_closing():
                self._transport.write(data)

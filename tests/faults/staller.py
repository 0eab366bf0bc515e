"""A watcher on a raw socket, which reads only when it is told to: until then nothing leaves the network's buffers."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from tests.e2e.clients import ENVELOPED
from tests.faults.journal import Transcript

TINY: Final = 4096  # bytes that the client's side of the network holds
AMPLE: Final = 2**20
ETHERNET: Final = (
    1400  # bytes per segment; by those of the loopback, of 64 KiB, the server would size its buffers
)
POLL: Final = 0.1


class Staller:
    def __init__(self, order_id: str, url: str) -> None:
        address = f"{url}{ENVELOPED.format(order_id)}".replace("http", "ws", 1)
        self.transcript = Transcript(order_id)
        self._place = (urlsplit(url).hostname, urlsplit(url).port)
        self._protocol = ClientProtocol(parse_uri(address))
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, TINY)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, ETHERNET)
        self._socket.setblocking(False)  # the socket's own way

    @property
    def port(self) -> int:
        port: int = self._socket.getsockname()[1]
        return port

    async def begin(self, steps: int) -> Self:
        """Connects, reads so many steps, and then nothing more."""
        await asyncio.get_running_loop().sock_connect(self._socket, self._place)
        self._protocol.send_request(self._protocol.connect())
        await self._answer()
        await self._read(lambda: len(self.transcript.steps) >= steps)
        return self

    async def read_on(self) -> int | None:
        """Reads all that there is, to the end of the connection; the close code that came."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, AMPLE)
        await self._read(lambda: self._protocol.close_rcvd is not None)
        received = self._protocol.close_rcvd
        code = None if received is None else received.code
        self.transcript.closes.append(code)
        return code

    def close(self) -> None:
        self._socket.close()

    async def _read(self, is_enough: Callable[[], bool]) -> None:
        while not is_enough():
            try:
                data = await asyncio.get_running_loop().sock_recv(self._socket, TINY)
            except ConnectionError:
                return
            if not data:
                return
            self._protocol.receive_data(data)
            for event in self._protocol.events_received():
                if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                    self.transcript.take(bytes(event.data))
            await self._answer()

    async def _answer(self) -> None:
        await asyncio.get_running_loop().sock_sendall(self._socket, b"".join(self._protocol.data_to_send()))


async def as_they_fill(
    ports: Iterable[int], *, still_for: float, within: float
) -> AsyncIterator[tuple[int, float]]:
    """Each connection, named by the client's port, and when the server's side of it took its last byte.

    A connection comes when it has taken none for `still_for` seconds.
    """
    left = set(ports)
    before: dict[int, int] = {}
    changed: dict[int, float] = {}
    async with asyncio.timeout(within):
        while left:
            waiting = _unsent()
            now = time.monotonic()
            for port in tuple(left):
                if waiting.get(port, 0) != before.get(port, 0):
                    changed[port] = now
                elif now - changed.get(port, now) >= still_for:
                    left.remove(port)
                    yield port, changed[port]
            before = waiting
            await asyncio.sleep(POLL)


def _unsent() -> dict[int, int]:
    """Bytes that wait in the kernel to be sent over each local connection, by the receiver's port."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
    return {
        int(far.partition(":")[2], 16): int(queues.partition(":")[0], 16)
        for _, _, far, _, queues, *_ in lines
        if queues[:8] != "00000000"
    }

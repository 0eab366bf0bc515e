"""Sending bytes over a socket, and reading whatever comes back: answers of HTTP, frames, or the end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, NamedTuple, Self

from tests.hostile.corpus import End, Sent, Wait

QUIET_SECONDS: Final = 0.05  # so long nothing more comes after an answer: that was all
OPEN, CLOSED = "open", "closed"
PING: Final = bytes([0x89, 0x80 | 5]) + b"\0\0\0\0alive"


class Answer(NamedTuple):
    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str | None:
        wanted = name.encode()
        for line in self.head.split(b"\r\n")[1:]:
            field, _, value = line.partition(b":")
            if field.lower() == wanted:
                return value.strip().decode("latin-1")
        return None


class Wire:
    """One connection, which is gone afterwards.

    It reads by itself: a stream of asyncio drops what has arrived as soon as a write fails, and a server that hangs up
    while more is sent to it has said why before.
    """

    def __init__(self, host: str, port: int) -> None:
        self._place = (host, port)
        self._loop = asyncio.get_running_loop()
        self.reader = asyncio.StreamReader()

    async def __aenter__(self) -> Self:
        self._socket = socket.socket()
        self._socket.setblocking(False)
        await self._loop.sock_connect(self._socket, self._place)
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reading.cancel()
        await asyncio.wait({self._reading})
        self._socket.close()

    async def send(self, parts: Iterable[Sent]) -> None:
        """Sends what it can: a server that has heard enough may hang up."""
        with suppress(OSError):
            for part in parts:
                if isinstance(part, Wait):
                    await asyncio.sleep(part.seconds)
                elif isinstance(part, End):
                    self._socket.shutdown(socket.SHUT_WR)
                else:
                    await self._loop.sock_sendall(self._socket, part)

    async def answers(self, number: int, *, head_only: bool = False) -> list[Answer]:
        """So many answers, or those that come before the end."""
        found: list[Answer] = []
        with suppress(OSError, asyncio.IncompleteReadError):
            while len(found) < number:
                found.append(await self._answer(head_only=head_only))
        return found

    async def is_quiet(self) -> bool:
        """Whether nothing more comes, be it that the connection stays open or ends."""
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(QUIET_SECONDS):
                return not await self.reader.read(1)
        return True

    async def until_closed(self) -> None:
        with suppress(OSError):
            while await self.reader.read(65536):
                pass

    async def outcome_of_frames(self) -> int | str:
        """The code that the server closes with, CLOSED when it hangs up without, OPEN when it answers a ping."""
        is_alive = False  # and may yet close: its pong overtakes what it says of the frames before
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                try:
                    async with asyncio.timeout(QUIET_SECONDS if is_alive else None):
                        opcode, payload = await self._frame()
                except TimeoutError:
                    return OPEN
                if opcode == 8:
                    return int.from_bytes(payload[:2], "big") or 1005
                is_alive = is_alive or (opcode == 10 and payload == b"alive")
        return CLOSED

    async def _read(self) -> None:
        with suppress(OSError):
            while data := await self._loop.sock_recv(self._socket, 65536):
                self.reader.feed_data(data)
        self.reader.feed_eof()

    async def _answer(self, *, head_only: bool) -> Answer:
        head = await self.reader.readuntil(b"\r\n\r\n")
        answer = Answer(int(head.split(b" ", 2)[1]), head, b"")
        length = int(answer.header("content-length") or 0)
        if answer.header("transfer-encoding") == "chunked":
            return answer._replace(body=await self._chunks())
        return (
            answer if head_only or not length else answer._replace(body=await self.reader.readexactly(length))
        )

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readexactly(2)
        return body

    async def _frame(self) -> tuple[int, bytes]:
        first, second = await self.reader.readexactly(2)
        length = second & 0x7F
        if length >= 126:
            length = int.from_bytes(await self.reader.readexactly(2 if length == 126 else 8), "big")
        return first & 0x0F, await self.reader.readexactly(length)

"""A console that is read back, and tiny servers that answer as they are told."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
from rich.console import Console

ORDER = "0192f0c1-0000-7000-8000-000000000001"
STATUSES = ("pending", "routing", "building", "submitted", "confirmed")


class Screen:
    """What was printed."""

    def __init__(self) -> None:
        self._file = io.StringIO()
        self.console = Console(file=self._file, highlight=False, soft_wrap=True, emoji=False, markup=False)

    @property
    def lines(self) -> list[str]:
        return self._file.getvalue().splitlines()

    @property
    def statuses(self) -> list[str]:
        """The statuses of the steps shown, in order."""
        words = [line.split() for line in self.lines]
        return [parts[1] for parts in words if len(parts) > 1 and parts[0].isdecimal()]


def a_message(sequence: int, status: str | None = None, data: dict[str, Any] | None = None) -> str:
    return msgspec.json.encode(
        {
            "type": "status",
            "orderId": ORDER,
            "sequence": sequence,
            "status": status or STATUSES[sequence - 1],
            "timestamp": f"2026-11-20T06:12:{sequence:02}.000Z",
            "data": data or {},
        }
    ).decode()


class Request:
    def __init__(self, head: str, body: bytes) -> None:
        self.line, *lines = head.split("\r\n")
        self.headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
        self.body = body


Answer = tuple[int, str] | None  # None: hang up without a word


@asynccontextmanager
async def http_server(answer: Callable[[Request], Answer]) -> AsyncIterator[tuple[str, Sequence[Request]]]:
    """The address of a server that answers each request as told, and the requests that it got."""
    requests: list[Request] = []
    open_writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_writers.add(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):  # the client has left
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            request = Request(head, b"")
            request.body = await reader.readexactly(int(request.headers.get("content-length", "0")))
            requests.append(request)
            answered = answer(request)
            if answered is not None:
                status, body = answered
                writer.write(
                    f"HTTP/1.1 {status} X\r\ncontent-length: {len(body.encode())}\r\nconnection: close\r\n\r\n{body}".encode()
                )
                await writer.drain()
        await _close(writer)
        open_writers.discard(writer)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", requests
        for writer in tuple(open_writers):
            await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()

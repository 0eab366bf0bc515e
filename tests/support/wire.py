"""A TCP proxy in front of a server: it can be cut, frozen, swallow one direction or both, or lose one answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from psycopg.conninfo import conninfo_to_dict, make_conninfo

CHUNK: Final = 65536


class Flow(Enum):
    """What becomes of what is sent."""

    FREE = "passed on"
    HELD = "held back until it is free again"
    CUT = "connections are reset, and new ones too"
    BLACKHOLE = "swallowed, in both directions; new connections are accepted and nothing comes of them"
    HALF_OPEN = "passed on to the server, whose answers are swallowed"


class Wire:
    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._flow = Flow.FREE
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._withheld: tuple[bytes, asyncio.Event] | None = None
        self._lines: dict[_Line, asyncio.Task[None]] = {}
        self.port = 0
        self.accepted = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._server.close()
        self.cut()
        tasks = tuple(self._lines.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def turn(self, flow: Flow) -> None:
        """From now on. When all flows again, lines that lost something are found dead by both of their ends."""
        self._flow = flow
        if flow is Flow.HELD:
            self._flowing.clear()
        else:
            self._flowing.set()
        for line in tuple(self._lines):
            if flow is Flow.CUT or (flow is Flow.FREE and line.is_dead):
                line.cut()

    def cut(self) -> None:
        self.turn(Flow.CUT)

    def freeze(self) -> None:
        self.turn(Flow.HELD)

    def mend(self) -> None:
        self.turn(Flow.FREE)

    @contextmanager
    def withholding_the_answer_to(self, text: str) -> Iterator[asyncio.Event]:
        """The first message with this text reaches the server, and nothing comes back on its line; the event says when."""
        is_withheld = asyncio.Event()
        self._withheld = text.encode(), is_withheld
        try:
            yield is_withheld
        finally:
            self._withheld = None

    def through(self, conninfo: str) -> str:
        """The connection string of the same database, by way of this wire."""
        return make_conninfo(conninfo, host="127.0.0.1", port=self.port)

    def through_url(self, url: str) -> str:
        """The URL of the same server, by way of this wire."""
        parts = urlsplit(url)
        login, at, _ = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{login}{at}127.0.0.1:{self.port}").geturl()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        line = _Line(writer)
        self._lines[line] = task
        self.accepted += 1
        try:
            if self._flow is Flow.BLACKHOLE:
                line.is_dead = True
                await line.ended.wait()
            elif self._flow is not Flow.CUT:
                await self._connect(line, reader, writer)
        except OSError:
            pass
        finally:
            line.cut()
            del self._lines[line]

    async def _connect(self, line: _Line, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await self._open()
        line.writers.append(far_writer)
        if self._flow is not Flow.CUT:  # meanwhile
            await asyncio.gather(
                self._pump(line, reader, far_writer, is_answer=False),
                self._pump(line, far_reader, writer, is_answer=True),
            )

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = self._target
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)

    async def _pump(
        self, line: _Line, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._flowing.wait()
                if self._withheld is not None and not is_answer and self._withheld[0] in data:
                    line.is_mute = line.is_mute or not self._withheld[1].is_set()
                    self._withheld[1].set()
                if self._swallows(line, is_answer=is_answer):
                    line.is_dead = True
                elif not (is_answer and line.is_mute):
                    writer.write(data)
                    await writer.drain()
        # The end of a connection is swallowed like anything else.
        if self._swallows(line, is_answer=is_answer):
            line.is_dead = True
            await line.ended.wait()
        line.cut()

    def _swallows(self, line: _Line, *, is_answer: bool) -> bool:
        if self._flow is Flow.HALF_OPEN:
            return is_answer
        return line.is_dead or self._flow is Flow.BLACKHOLE


class _Line:
    """One connection through the wire."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writers = [writer]
        self.ended = asyncio.Event()
        self.is_mute = False  # the server's answers do not pass any more
        self.is_dead = False  # something was swallowed, so it can never be used again

    def cut(self) -> None:
        self.ended.set()
        for writer in self.writers:
            writer.transport.abort()


def wire_to_postgres(url: str) -> Wire:
    parameters = conninfo_to_dict(url)
    return Wire(str(parameters.get("host") or "/var/run/postgresql"), int(parameters.get("port") or 5432))

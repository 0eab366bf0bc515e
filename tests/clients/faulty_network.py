"""A network between a client and the engine that fails once at every point where a client has to be careful."""

from __future__ import annotations

import asyncio
import re
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

REQUEST: Final = re.compile(rb"(GET|POST) (\S+) HTTP/1\.1\r\n")


class FaultyNetwork:
    """Loses the answer to the first POST, and cuts the first WebSocket in the middle of its second event."""

    def __init__(self, engine_url: str) -> None:
        place = urlsplit(engine_url)
        self._engine = (place.hostname, place.port)
        self._faults = {b"POST": b"HTTP/1.1", b"GET": b'"routing"'}  # what would have come next when it fails
        self.requests: list[str] = []  # methods and paths

    async def connect(self, from_client: StreamReader, to_client: StreamWriter) -> None:
        """One connection of a client, to its end."""
        from_engine, to_engine = await asyncio.open_connection(*self._engine)
        faults: list[bytes] = []
        ways = {
            asyncio.create_task(self._carry_requests(from_client, to_engine, faults)),
            asyncio.create_task(self._carry_answers(from_engine, to_client, faults)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)
            to_client.transport.abort()
            to_engine.transport.abort()

    async def _carry_requests(self, reader: StreamReader, writer: StreamWriter, faults: list[bytes]) -> None:
        while data := await reader.read(65536):
            if found := REQUEST.match(data):
                method, path = found.groups()
                self.requests.append(f"{method.decode()} {path.decode()}")
                if method in self._faults:
                    faults.append(self._faults.pop(method))
            writer.write(data)
            await writer.drain()

    async def _carry_answers(self, reader: StreamReader, writer: StreamWriter, faults: list[bytes]) -> None:
        while data := await reader.read(65536):
            whole, found, _ = data.partition(faults[0]) if faults else (data, b"", b"")
            writer.write(whole)
            await writer.drain()
            if found:
                return


@asynccontextmanager
async def faulty_network(engine_url: str) -> AsyncIterator[tuple[str, FaultyNetwork]]:
    """The URL at which a client finds the engine, and the network between them."""
    network = FaultyNetwork(engine_url)
    server = await asyncio.start_server(network.connect, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}", network

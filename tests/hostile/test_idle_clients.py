"""Clients that do nothing at all: the engine does not wait for them for ever."""

from __future__ import annotations

import asyncio
import socket

import pytest

from app.api.http_protocol import HttpProtocol
from app.settings import Settings
from tests.api.support import DEADLINE, Api, running_api

BUNDLE = b"GET /docs/assets/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_a_client_that_does_not_read_its_answers_is_dropped(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.api.http_protocol.STALLED_SECONDS", 0.2)
    dropped = asyncio.Event()  # the client cannot see it: what it has not read comes first

    class Watched(HttpProtocol):
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            dropped.set()

    monkeypatch.setattr("app.api.server.HttpProtocol", Watched)
    async with running_api(settings) as api:
        with _connected(api) as client:
            client.sendall(BUNDLE * 8)  # more than fits into the buffers between us
            async with asyncio.timeout(DEADLINE):
                await dropped.wait()
        assert (await api.http.get("/livez")).is_success


async def test_a_client_that_reads_slowly_gets_its_answers(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.api.http_protocol.STALLED_SECONDS", 1.0)
    async with running_api(settings) as api, asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection(sock=_connected(api), limit=2**16)
        writer.write(BUNDLE)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if b"content-length" in line)
        left = length
        while left > 0:
            left -= len(await reader.read(2**17))
            await asyncio.sleep(0.03)
        writer.close()
        await writer.wait_closed()
    assert length > 1_000_000


async def test_a_client_that_says_nothing_is_dropped(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.api.server.KEEP_ALIVE_SECONDS", 0.2)
    async with running_api(settings) as api, asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection(*api.address)

        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


def _connected(api: Api) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(api.address)
    client.setblocking(False)
    return client

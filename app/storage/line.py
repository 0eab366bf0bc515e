"""The connection of a lane, found again whenever it is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import psycopg

from app.storage.database import Connection, connect
from app.storage.pool import has_news

FIRST_BACKOFF: Final = 0.05  # seconds
LAST_BACKOFF: Final = 1.0
CLOSE_SECONDS: Final = 1.0
OUTAGE_GRACE: Final = 2.0  # how long an item may wait for a connection before its caller is told


class Line:
    """`deadline` bounds one try to connect; `refuse` tells those who wait why they wait no longer."""

    def __init__(self, conninfo: str, deadline: float, refuse: Callable[[str], None]) -> None:
        self._conninfo = conninfo
        self._deadline = deadline
        self._refuse = refuse
        self._connection: Connection | None = None
        self._is_ending = False

    def is_lost(self) -> bool:
        return self._connection is None or self._connection.closed

    @property
    def connection(self) -> Connection:
        assert self._connection is not None
        return self._connection

    async def open(self) -> bool:
        """Whether there is a connection, which it tries to get until told to give up."""
        if self._connection is not None and (self._connection.closed or has_news(self._connection)):
            await self.close()  # it died while nobody used it: better known before anything is sent
        return self._connection is not None or await self._connect()

    def give_up_soon(self) -> None:
        self._is_ending = True

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error, OSError, TimeoutError):
                await asyncio.wait_for(connection.close(), CLOSE_SECONDS)

    async def _connect(self) -> bool:
        """Those who wait longer than the grace are refused meanwhile."""
        backoff = FIRST_BACKOFF
        began = asyncio.get_running_loop().time()
        while True:
            try:
                async with asyncio.timeout(self._deadline):
                    self._connection = await connect(self._conninfo)
            except Exception as error:  # noqa: BLE001  # whatever it is, there is no connection
                if self._is_ending or asyncio.get_running_loop().time() - began > OUTAGE_GRACE:
                    self._refuse(f"cannot connect: {error}")
                if self._is_ending:
                    return False
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, LAST_BACKOFF)
            else:
                return True

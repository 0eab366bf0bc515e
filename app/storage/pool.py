"""A pool of connections that loses none, whatever becomes of those who borrow them, and lends none that has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import psycopg
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from app.storage.ear import is_readable

Answer = TypeVar("Answer")


class BriefConnection(psycopg.AsyncConnection[TupleRow]):
    """A connection whose failure to connect is an error without a past."""

    @classmethod
    async def connect(cls, *args: Any, **kwargs: Any) -> BriefConnection:
        """Raises psycopg.Error."""
        try:
            return await super().connect(*args, **kwargs)
        except psycopg.Error as error:
            # psycopg keeps it in a frame that is in its traceback: a ring for each of an outage's many tries.
            raise error.with_traceback(None) from None


def has_news(connection: psycopg.AsyncConnection[TupleRow]) -> bool:
    """Whether an idle connection has something to say: nothing but that the server has ended it."""
    return is_readable(connection.fileno())


class SteadyPool(AsyncConnectionPool[BriefConnection]):
    """Lends and takes back to the end, even for a caller that is cancelled meanwhile.

    psycopg's pool counts a connection as lent for good when its borrower is cancelled while it gives it back and waits
    for the pool's lock, which somebody holds who has just waited in vain. When all are lent for good, nobody gets any.

    A connection that died with a restarted server is replaced before anybody sees it, and with it all that lie there:
    they died, too, most likely, and psycopg's pool would make its callers wait for a second at every other one.
    """

    def __init__(self, conninfo: str, **kwargs: Any) -> None:
        super().__init__(conninfo, connection_class=BriefConnection, check=self._must_live, **kwargs)
        self._at_work: set[asyncio.Task[Any]] = set()

    async def getconn(self, timeout: float | None = None) -> BriefConnection:  # noqa: ASYNC109  # as in psycopg_pool
        getting = self._begin(super().getconn(timeout))
        try:
            return await asyncio.shield(getting)
        except asyncio.CancelledError:
            getting.add_done_callback(self._give_back)
            raise

    async def putconn(self, conn: BriefConnection) -> None:
        await asyncio.shield(self._begin(super().putconn(conn)))

    async def _must_live(self, connection: BriefConnection) -> None:
        if has_news(connection):
            await connection.close()  # else the pool takes it for good, and lends it again
            await self.drain()
            raise psycopg.OperationalError("the server has ended the connection")

    def _begin(self, work: Coroutine[Any, Any, Answer]) -> asyncio.Task[Answer]:
        task = asyncio.create_task(work)
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)
        return task

    def _give_back(self, got: asyncio.Task[BriefConnection]) -> None:
        if not got.cancelled() and got.exception() is None:
            self._begin(super().putconn(got.result()))

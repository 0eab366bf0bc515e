"""A statement that a process sends over and over on a connection of its own, as near to the wire as libpq is.

A driver makes a cursor, takes a lock and goes through several coroutines for each statement, whatever it asks. Where a
connection serves one task alone, one statement at a time, none of that is needed: a third of the CPU is left (see
docs/decisions/0019).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, Final, TypeVar
from weakref import WeakSet

import psycopg
from psycopg import pq
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result

from app.storage.database import Connection
from app.storage.ear import Ear

Row = TypeVar("Row")

_FAILED: Final = {pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE}
_numbers: Final = count()


class Statement:
    """SQL with the parameters $1, $2 …, each cast to its type; prepared once per connection.

    The connection must be in autocommit mode and serve nobody else meanwhile. Who is cancelled while it waits for the
    answer ends the connection, for nobody could tell the next answer from this one; the server notices within a second.
    """

    def __init__(self, sql: str) -> None:
        self._sql = sql.encode()
        self._name = b"statement_%d" % next(_numbers)
        self._prepared: WeakSet[Connection] = WeakSet()

    async def rows(
        self, connection: Connection, *parameters: Any, row: Callable[[Sequence[Any]], Row]
    ) -> list[Row]:
        """What the server answers, a `row` of each. Raises psycopg's errors."""
        transformer = Transformer(connection)
        values = transformer.dump_sequence(parameters, [PyFormat.TEXT] * len(parameters))
        pgconn = connection.pgconn
        if connection not in self._prepared:
            pgconn.send_prepare(self._name, self._sql)
            await _Exchange(pgconn).result()
            self._prepared.add(connection)
        pgconn.send_query_prepared(self._name, values)
        result = await _Exchange(pgconn).result()
        transformer.set_pgresult(result)
        return transformer.load_rows(0, result.ntuples, row)


class _Exchange(Ear):
    """What was handed to libpq goes out, and its answer comes in."""

    def __init__(self, pgconn: pq.abc.PGconn) -> None:
        super().__init__(pgconn.socket)
        self._pgconn = pgconn
        self._results: list[pq.abc.PGresult] = []
        self._answered: asyncio.Future[None] = self._loop.create_future()

    async def result(self) -> pq.abc.PGresult:
        """Raises psycopg.Error."""
        try:
            self._open()
            if self._pgconn.flush():  # more than the socket takes at once
                self._start_writing()
            await self._answered
        except BaseException as error:
            # Cancelled, or cut off: the next answer could be that to this statement.
            self._close()
            self._pgconn.finish()
            if isinstance(error, psycopg.Error) and (failure := self._failure()) is not None:
                raise failure from error  # what the server said before it cut the connection says more
            raise
        if (failure := self._failure()) is not None:
            raise failure
        return self._results[-1]

    def _write(self) -> bool:
        try:
            return bool(self._pgconn.flush())
        except psycopg.Error as error:
            self._end(error)
            return False

    def _read(self) -> bool:
        try:
            self._pgconn.consume_input()
            while not self._pgconn.is_busy():
                if (result := self._pgconn.get_result()) is None:
                    self._end()
                    return False
                self._results.append(result)
        except psycopg.Error as error:
            self._end(error)
            return False
        return True

    def _end(self, error: psycopg.Error | None = None) -> None:
        self._close()
        if self._answered.done():
            return
        if error is None:
            self._answered.set_result(None)
        else:
            self._answered.set_exception(error)

    def _failure(self) -> psycopg.Error | None:
        """What the server has to say against it."""
        failed = next((result for result in self._results if result.status in _FAILED), None)
        return None if failed is None else error_from_result(failed)

"""Reading the log: the events of all orders by their position, which rises in the order of commits."""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from psycopg.rows import namedtuple_row

from app.orders.lifecycle import FIRST, Status
from app.orders.model import LogEntry, OrderEvent, OrderRequest, Swap
from app.orders.tokens import token_named
from app.storage.database import Database
from app.storage.queries import QUERIES


class LogEnds(NamedTuple):
    """The log can be followed from `oldest` on, which is 0 until something is deleted, and stands at `head`."""

    oldest: int
    head: int


class LogPage(NamedTuple):
    """The entries past a position and the log's ends, of one snapshot; `end` is how far they reach."""

    entries: list[LogEntry]
    ends: LogEnds
    end: int

    @property
    def is_last(self) -> bool:
        return self.end == self.ends.head


class LogReader:
    """Every call raises StorageUnavailable when the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ends(self) -> LogEnds:
        async with self._database.connection() as connection:
            cursor = await connection.execute(QUERIES["log_ends"])
            row = await cursor.fetchone()
        assert row is not None
        return LogEnds(*row)

    async def after(self, position: int, limit: int) -> LogPage:
        """The next entries of the log, of all accounts."""
        part = {"after": position, "limit": limit}
        async with (
            self._database.connection() as connection,
            connection.cursor(row_factory=namedtuple_row) as cursor,
        ):
            await cursor.execute(QUERIES["log_after"], part)
            rows: list[Any] = await cursor.fetchall()
        ends = LogEnds(rows[0].oldest, rows[0].head)
        entries = [_entry(row) for row in rows if row.position is not None]
        return LogPage(entries, ends, entries[-1].position if len(entries) == limit else ends.head)

    async def sequence_at(self, order_id: UUID, position: int) -> int:
        """The number of the order's last event up to a position; 0 when it has none yet."""
        async with self._database.connection() as connection:
            cursor = await connection.execute(QUERIES["sequence_at"], {"id": order_id, "position": position})
            row = await cursor.fetchone()
        assert row is not None
        return int(row[0])


def _entry(row: Any) -> LogEntry:
    status = Status(row.status)
    event = OrderEvent(
        row.order_id, row.sequence, status, row.at, msgspec.Raw(row.data.encode()), row.position
    )
    return LogEntry(event, row.account, row.wallet, _request(row) if status is FIRST else None)


def _request(row: Any) -> OrderRequest:
    swap = Swap(token_named(row.token_in), token_named(row.token_out), int(row.amount_in))
    return OrderRequest(swap, row.slippage_bps, row.wallet, row.type)

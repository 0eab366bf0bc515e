"""Orders written by SQL, and waiting with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Sequence
from typing import Final
from uuid import UUID

import psycopg
from sqlalchemy.ext.asyncio import async_sessionmaker

from app.orders.model import OrderEvent, new_order_id
from app.storage.database import Connection, Database, connect
from app.storage.reader import OrderReader

DEADLINE: Final = 60.0
HAPPY_WAY: Final = ("routing", "building", "submitted", "confirmed")


def an_order_reader(database: Database) -> OrderReader:
    return OrderReader(database, async_sessionmaker())


class Orders:
    """Orders and their events as the engine writes them, with the NOTIFY or, on purpose, without it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def insert(
        self, *, notify: bool = True, account: str = "default", wallet: str | None = None
    ) -> UUID:
        order_id = new_order_id()
        async with self.connection.transaction():
            await self.connection.execute(
                "INSERT INTO orders (id, account, fingerprint, type, token_in, token_out, amount_in, slippage_bps, wallet,"
                " status, sequence, queued_at)"
                " VALUES (%s, %s, '', 'market', 'SOL', 'USDC', 1, 50, %s, 'pending', 1, now())",
                (order_id, account, wallet),
            )
            await self._event(order_id, 1, None, "pending", notify=notify)
        return order_id

    async def append(self, order_id: UUID, *statuses: str, notify: bool = True) -> None:
        """One event per status, each in its own transaction."""
        for status in statuses:
            async with self.connection.transaction():
                cursor = await self.connection.execute(
                    "WITH old AS (SELECT id, status FROM orders WHERE id = %s FOR UPDATE)"
                    " UPDATE orders o SET status = %s::order_status, sequence = o.sequence + 1 FROM old"
                    " WHERE o.id = old.id RETURNING o.sequence, old.status",
                    (order_id, status),
                )
                row = await cursor.fetchone()
                assert row is not None
                await self._event(order_id, row[0], row[1], status, notify=notify)

    async def _event(
        self, order_id: UUID, sequence: int, previous: str | None, status: str, *, notify: bool
    ) -> None:
        if not notify:  # for this transaction, nothing is triggered
            await self.connection.execute("SET LOCAL session_replication_role = replica")
        await self.connection.execute(
            "INSERT INTO order_events (order_id, sequence, previous, status, data) VALUES (%s, %s, %s, %s, '{}')",
            (order_id, sequence, previous, status),
        )


async def transcript(events: AsyncIterable[OrderEvent], count: int | None = None) -> list[int]:
    """The sequences of the next `count` events, or of all until the end."""
    sequences: list[int] = []
    async with asyncio.timeout(DEADLINE):
        if count == 0:
            return sequences
        async for event in events:
            sequences.append(event.sequence)
            if len(sequences) == count:
                break
    return sequences


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110  # the state of many things, none of which has an event
            await asyncio.sleep(0.01)


async def listening_backends(url: str) -> Sequence[int]:
    """The process ids of the connections that LISTEN in this database."""
    connection = await connect(url)
    try:
        cursor = await connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND application_name LIKE '%listen'"
        )
        return [pid for (pid,) in await cursor.fetchall()]
    finally:
        await connection.close()


async def terminate(url: str, pids: Sequence[int]) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for pid in pids:
            await connection.execute("SELECT pg_terminate_backend(%s)", (pid,))

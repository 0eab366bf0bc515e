"""A pool that loses no connection, whenever a borrower is cancelled, and lends none that the server has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import pytest

from app.errors import StorageUnavailable
from app.storage.database import POOL_SIZE, Database, connect, conninfo

IN_VAIN: Final = 0.01  # seconds that a borrower waits who gets nothing
LONG: Final = 5.0
OTHERS: Final = 3
CROWDS: Final = [1, 2 * POOL_SIZE]  # who asks at the same time after the server has ended all connections
STEPS: Final = range(12)  # turns of the event loop: more than it takes to lend and to take back


@pytest.mark.parametrize("patience", [LONG, IN_VAIN], ids=["others wait", "others have waited in vain"])
@pytest.mark.parametrize("who", range(1 + OTHERS), ids=lambda who: "the last" if who == OTHERS else f"{who}")
async def test_no_connection_is_lost_with_a_borrower_that_is_cancelled(
    shared_database_url: str, who: int, patience: float
) -> None:
    async with Database(conninfo(shared_database_url, "test"), size=1) as database:
        for steps in STEPS:
            await _cancelled(database, who, steps, patience)
            database.pool.timeout = LONG
            async with database.connection() as connection:
                assert await (await connection.execute("SELECT 1")).fetchone() == (1,), steps


async def _cancelled(database: Database, who: int, steps: int, patience: float) -> None:
    """One holds the only connection, some wait for it; it gives it back, and one of them is cancelled so much later."""
    has_it, may_go = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with database.connection():
            has_it.set()
            await may_go.wait()

    async def borrow() -> None:
        async with database.connection():
            await asyncio.sleep(0)

    holder = asyncio.create_task(hold())
    await has_it.wait()
    database.pool.timeout = patience
    others = [asyncio.create_task(borrow()) for _ in range(OTHERS)]
    await asyncio.sleep(0.98 * IN_VAIN)
    may_go.set()
    for _ in range(steps):
        await asyncio.sleep(0)
    [holder, *others][who].cancel()
    for outcome in await asyncio.gather(holder, *others, return_exceptions=True):
        assert outcome is None or isinstance(outcome, asyncio.CancelledError | StorageUnavailable)


@pytest.mark.parametrize("crowd", CROWDS)
async def test_connections_that_the_server_has_ended_are_no_callers_trouble(
    shared_database_url: str, crowd: int
) -> None:
    async with Database(conninfo(shared_database_url, "test")) as database:
        all_have_one = asyncio.Barrier(POOL_SIZE)

        async def hold() -> int:
            async with database.connection() as connection:
                await all_have_one.wait()
                return connection.info.backend_pid

        pids = await asyncio.gather(*(hold() for _ in range(POOL_SIZE)))
        await _end(shared_database_url, pids)

        async def ask() -> tuple[int, ...] | None:
            async with database.connection() as connection:
                return await (await connection.execute("SELECT 1")).fetchone()

        assert await asyncio.gather(*(ask() for _ in range(crowd))) == [(1,)] * crowd


async def _end(url: str, pids: Sequence[int]) -> None:
    """Returns when they are gone."""
    async with await connect(conninfo(url, "test")) as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM unnest(%s) AS pid", [list(pids)]
        )

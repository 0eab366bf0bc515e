"""Snapshot and stream together are the ledger, exactly: whatever overlaps, breaks off, or is deleted meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import msgspec
import psycopg
import pytest

from app.storage.database import Database, conninfo
from app.storage.log import LogReader
from app.storage.reader import OrderPage, OrderReader
from app.storage.sessions import open_sessions
from app.stream.log import LogFeed

from .histories import History, World

INTERLEAVINGS: Final = 10_000  # of a history and a reader
BATCHES: Final = 10  # which run beside each other where there are processes for it
READERS: Final = 20  # of one history
WRITERS: Final = 3


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few entries to a page and few in a queue, so that short histories fill both."""
    monkeypatch.setattr("app.stream.follower.CHUNK", 5)
    monkeypatch.setattr("app.stream.follower.MAX_QUEUE", 3)
    monkeypatch.setattr("app.stream.log.CHUNK", 5)
    monkeypatch.setattr("app.stream.log.PACE", 0.0)


@asynccontextmanager
async def a_world(url: str, *, has_lock: bool = True) -> AsyncIterator[World]:
    hasty = f"{url}?options=-c%20synchronous_commit%3Doff"  # commits like any other, but no crash is survived
    async with AsyncExitStack() as stack:
        *writers, pruner = [
            await stack.enter_async_context(await psycopg.AsyncConnection.connect(hasty, prepare_threshold=1))
            for _ in range(WRITERS + 1)
        ]
        if not has_lock:
            await pruner.execute("DROP TRIGGER order_events_enter_the_log ON order_events")
            await pruner.commit()
        database = await stack.enter_async_context(Database(conninfo(url, "readers")))
        sessions = await stack.enter_async_context(open_sessions(url))
        log = LogReader(database)
        feed = await stack.enter_async_context(LogFeed(log))
        yield World(writers, pruner, OrderReader(database, sessions), log, feed, has_lock)


@pytest.mark.parametrize("batch", range(BATCHES))
async def test_snapshot_and_stream_are_the_ledger(database_url: str, batch: int) -> None:
    gaps = cuts = pruned = 0
    histories = INTERLEAVINGS // BATCHES // READERS
    async with a_world(database_url) as world:
        for seed in range(batch * histories, (batch + 1) * histories):
            history = History(world, seed, READERS)
            assert await history.play() == [], f"seed {seed}"
            gaps += sum(reader.gaps for reader in history.readers)
            cuts += sum(reader.cuts for reader in history.readers)
            pruned += len(history.pruned)
    assert min(gaps, cuts, pruned) > 0


async def test_without_the_lock_they_are_not(database_url: str) -> None:
    async with a_world(database_url, has_lock=False) as world:
        assert await _somebody_complains(world)


async def test_without_the_horizon_they_are_not(database_url: str) -> None:
    async with a_world(database_url) as world:
        await world.pruner.execute(
            "CREATE RULE forgotten AS ON UPDATE TO order_log_horizon DO INSTEAD NOTHING"
        )
        await world.pruner.commit()
        assert await _somebody_complains(world)


async def test_a_list_with_the_position_of_another_snapshot_does_not_do(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: list[Callable[[], Awaitable[None]]] = []  # of a transaction, between the list and its position

    class Overlapping(History):
        async def _end_while_reading(self) -> None:
            ends.append(self._end)
            await self.rng.choice(self.readers).look()

    async with a_world(database_url) as world:
        page_of_one_snapshot = world.orders.page

        async def page(**filters: Any) -> OrderPage:
            page = await page_of_one_snapshot(**filters)
            while ends:
                await ends.pop()()
            return msgspec.structs.replace(page, as_of=(await world.log.ends()).head)

        monkeypatch.setattr(world.orders, "page", page)
        assert await _somebody_complains(world, Overlapping)


async def _somebody_complains(world: World, kind: type[History] = History) -> bool:
    for seed in range(INTERLEAVINGS // READERS):
        if await kind(world, seed, READERS).play():
            return True
    return False

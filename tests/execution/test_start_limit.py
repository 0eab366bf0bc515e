"""How many orders start: each is counted once, however often it is tried and by whichever worker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
import redis.asyncio

from app.execution import limits
from app.execution.limits import WINDOW, StartLimit
from app.storage import redis_guard
from app.storage.redis_guard import RedisGuard
from app.storage.tally import Tally


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_guard, "TICKS", 1000)  # on a busy machine Redis, too, is slow


@asynccontextmanager
async def a_worker(redis_url: str, per_minute: int) -> AsyncIterator[StartLimit]:
    async with (
        redis.asyncio.Redis.from_url(redis_url) as client,
        RedisGuard(client) as guard,
        Tally(client, guard, window=WINDOW) as tally,
    ):
        yield StartLimit(per_minute, tally)


async def test_an_order_that_has_started_goes_on_with_any_worker_and_takes_no_place(redis_url: str) -> None:
    first, second, third = (uuid4() for _ in range(3))
    async with a_worker(redis_url, 2) as one, a_worker(redis_url, 2) as two:
        assert await one.wait(first) == 0
        assert [await worker.wait(first) for worker in (one, two, two)] == [0, 0, 0]
        assert await two.wait(second) == 0
        assert 0 < await one.wait(third) <= WINDOW
        assert [await worker.wait(order) for worker in (one, two) for order in (first, second)] == [0] * 4
        # It was refused, so it has not started anywhere.
        assert 0 < await two.wait(third) <= WINDOW


async def test_without_redis_each_worker_counts_each_order_once() -> None:
    first, second = uuid4(), uuid4()
    worker = StartLimit(1, None)

    assert [await worker.wait(first) for _ in range(3)] == [0, 0, 0]
    assert 0 < await worker.wait(second) <= WINDOW


async def test_what_is_known_of_started_orders_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_STARTED", 2)
    worker = StartLimit(10, None)

    for _ in range(5):
        assert await worker.wait(uuid4()) == 0

    assert len(worker._started) == 2


async def test_without_a_limit_nothing_is_asked_or_kept() -> None:
    worker = StartLimit(0, None)

    assert [await worker.wait(uuid4()) for _ in range(100)] == [0] * 100
    assert not worker._started

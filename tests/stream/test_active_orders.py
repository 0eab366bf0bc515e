"""The snapshots in Redis: the newest step of each order, and never in anybody's way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from time import monotonic
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from app.orders.lifecycle import Status
from app.orders.model import OrderEvent, new_order_id
from app.stream import active_orders as active_orders_module
from app.stream.active_orders import ActiveOrders, snapshot
from tests.support.wire import Wire

from .support import until


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as redis:
        yield redis


@pytest.fixture
async def redis_wire(redis_url: str) -> AsyncIterator[Wire]:
    parts = urlsplit(redis_url)
    async with Wire(parts.hostname or "127.0.0.1", parts.port or 6379) as wire:
        yield wire


def an_event(
    order_id: UUID, sequence: int = 1, status: Status = Status.PENDING, data: bytes = b"{}"
) -> OrderEvent:
    return OrderEvent(order_id, sequence, status, "2026-11-20T06:12:01.123Z", msgspec.Raw(data))


async def stored(redis: Redis, order_id: UUID) -> dict[str, object] | None:
    value = await redis.get(f"active_order:{order_id}")
    return None if value is None else msgspec.json.decode(value, type=dict[str, object])


async def test_the_newest_step_is_stored_with_its_data(redis: Redis) -> None:
    order_id = new_order_id()
    async with ActiveOrders(redis) as active:
        active.put(an_event(order_id))
        active.put(an_event(order_id, 3, Status.BUILDING, b'{"dex": "raydium", "attempt": 1}'))
        active.put(an_event(order_id, 2, Status.ROUTING))
    assert await stored(redis, order_id) == {
        "orderId": str(order_id),
        "status": "building",
        "sequence": 3,
        "updatedAt": "2026-11-20T06:12:01.123Z",
        "dex": "raydium",
        "attempt": 1,
    }
    assert 3500 < await redis.ttl(f"active_order:{order_id}") <= 3600


async def test_a_final_snapshot_lives_for_a_minute(redis: Redis) -> None:
    order_id = new_order_id()
    async with ActiveOrders(redis) as active:
        active.put(an_event(order_id, 5, Status.CONFIRMED))
    assert 50 < await redis.ttl(f"active_order:{order_id}") <= 60


async def test_a_late_process_does_not_overwrite_a_newer_snapshot(redis: Redis) -> None:
    order_id = new_order_id()
    async with ActiveOrders(redis) as worker:
        worker.put(an_event(order_id, 10, Status.ROUTING))
    async with ActiveOrders(redis) as intake:
        intake.put(an_event(order_id, 9))
    found = await stored(redis, order_id)
    assert found is not None
    assert found["sequence"] == 10


async def test_many_orders_are_written_in_the_background(redis: Redis) -> None:
    placed = [new_order_id() for _ in range(1200)]
    async with ActiveOrders(redis) as active:
        for order_id in placed:
            active.put(an_event(order_id))
        await until(lambda: not active._pending)
    assert await redis.exists(*(f"active_order:{order_id}" for order_id in placed)) == 1200


async def test_an_outage_of_redis_costs_one_log_line_and_heals(
    redis: Redis, redis_url: str, redis_wire: Wire
) -> None:
    order_id = new_order_id()
    url = redis_url.replace(urlsplit(redis_url).netloc.rpartition("@")[2], f"127.0.0.1:{redis_wire.port}")
    redis_wire.cut()
    with capture_logs() as logs:
        async with Redis.from_url(url) as away, ActiveOrders(away) as active:
            active.put(an_event(order_id))
            await until(lambda: redis_wire.accepted >= 3)
            redis_wire.mend()
            await until(lambda: not active._pending and len(logs) == 2)
    assert [line["event"] for line in logs] == ["stream.lost", "stream.recovered"]
    assert await stored(redis, order_id) is not None


async def test_a_redis_that_does_not_answer_delays_nobody_and_memory_stays_bounded(
    redis_url: str, redis_wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(active_orders_module, "FLUSH_SECONDS", 0.2)
    monkeypatch.setattr(active_orders_module, "MAX_PENDING", 100)
    redis_wire.freeze()
    async with Redis(port=redis_wire.port) as frozen:
        started = monotonic()
        async with ActiveOrders(frozen) as active:
            for _ in range(1000):
                active.put(an_event(new_order_id()))
            assert len(active._pending) == 100
    assert monotonic() - started < 20


def test_data_are_spliced_in_byte_for_byte() -> None:
    order_id = UUID(int=1)
    event = an_event(order_id, 2, Status.SUBMITTED, b'{"minAmountOut": 1.10}')
    assert snapshot(event).endswith(b'"updatedAt":"2026-11-20T06:12:01.123Z","minAmountOut": 1.10}')

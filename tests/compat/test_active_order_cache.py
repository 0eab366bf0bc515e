"""The active-order cache: `active_order:{id}` in Redis, a stream at `/execute/ws`, and POST in the singular."""

from __future__ import annotations

import asyncio
import json

from redis.asyncio import Redis

from tests.compat.conftest import Engine
from tests.e2e.clients import FLAT, STEPS, Json, client_of, finished, statuses, watch_to_the_end
from tests.support.processes import linux_only

pytestmark = linux_only

ADDRESS = "127.0.1.6"
BODY: Json = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": 1}
STREAM = "/api/orders/execute/ws?orderId={}"


async def test_posting_to_order_in_the_singular_places_an_order(engine: Engine) -> None:
    async with client_of(engine.url, address=ADDRESS) as client:
        headers = {"x-idempotency-key": "singular-and-plural"}
        placed = await client.post("/api/order/execute", json=BODY, headers=headers)
        repeated = await client.post("/api/orders/execute", json=BODY, headers=headers)
        order = await finished(client, placed.json()["orderId"])
    assert (placed.status_code, repeated.status_code) == (201, 200)
    assert placed.headers["location"] == f"/api/orders/{order['orderId']}"
    assert repeated.json()["orderId"] == order["orderId"]
    assert statuses(order["events"]) == STEPS


async def test_the_stream_at_execute_ws_begins_with_pending_and_shows_every_status(engine: Engine) -> None:
    async with client_of(engine.url, address=ADDRESS) as client:
        order_id = (await client.post("/api/order/execute", json=BODY)).json()["orderId"]
        messages = await watch_to_the_end(client, order_id, STREAM)
        assert statuses(messages) == STEPS
        assert await watch_to_the_end(client, order_id, FLAT) == messages


async def test_redis_holds_the_active_order_while_it_runs_and_for_a_minute_after(engine: Engine) -> None:
    async with client_of(engine.url, address=ADDRESS) as client, Redis.from_url(engine.redis_url) as cache:
        stored = await client.post("/api/orders", json=BODY)
        key = f"active_order:{stored.json()['orderId']}"
        waiting, seconds = await _snapshot(cache, key, "pending")
        assert (waiting["orderId"], waiting["sequence"]) == (stored.json()["orderId"], 1)
        assert seconds > 60
        await client.post(f"/api/orders/{waiting['orderId']}/execute")
        order = await finished(client, waiting["orderId"])
        confirmed, seconds = await _snapshot(cache, key, "confirmed")
    assert confirmed["txHash"] == order["txHash"]
    assert (confirmed["sequence"], confirmed["updatedAt"]) == (5, order["events"][-1]["ts"])
    assert 0 < seconds <= 60


async def test_postgres_keeps_the_full_lifecycle(engine: Engine) -> None:
    async with client_of(engine.url, address=ADDRESS) as client:
        order_id = (await client.post("/api/orders/execute", json=BODY)).json()["orderId"]
        await finished(client, order_id)
    rows = engine.books.rows(
        f"SELECT status::text FROM order_events WHERE order_id = '{order_id}' ORDER BY sequence"
    )
    assert [status for (status,) in rows] == STEPS


async def _snapshot(cache: Redis, key: str, status: str) -> tuple[Json, int]:
    """The snapshot once it has this status, and the seconds that it has left."""
    async with asyncio.timeout(10):
        while True:
            snapshot = json.loads(await cache.get(key) or "{}")
            if snapshot.get("status") == status:
                return snapshot, await cache.ttl(key)
            await asyncio.sleep(0.02)

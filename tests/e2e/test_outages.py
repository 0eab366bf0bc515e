"""Redis and Postgres away: what clients are told, and how everything comes back without anybody's help."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from app.dev.embedded import EmbeddedPostgres, EmbeddedValkey
from app.storage.migrations import migrate
from tests.e2e.clients import (
    FLAT,
    STEPS,
    Json,
    an_order,
    client_of,
    finished,
    health_with_redis,
    place,
    place_many,
    statuses,
    the_rest,
    until,
    volley,
    watching,
)
from tests.e2e.premises import Site
from tests.e2e.programs import Launcher
from tests.support.processes import linux_only
from tests.support.servers import UNSAFE_BUT_FAST

pytestmark = linux_only

LIMIT = 30


@pytest.fixture
def valkey(data_dir: Path) -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey(data_dir / "valkey") as valkey:
        yield valkey


@pytest.fixture
def postgres(data_dir: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(data_dir / "postgres", UNSAFE_BUT_FAST) as postgres:
        migrate(postgres.url)
        yield postgres


async def test_without_redis_orders_are_accepted_once_and_within_the_limit(
    launcher: Launcher, database_url: str, valkey: EmbeddedValkey
) -> None:
    with closing(Site(launcher, database_url, valkey.url)) as site:
        url = site.start_api(API_MAX_ORDERS_PER_MIN=str(LIMIT)).url
        site.start_worker()
        async with client_of(url) as client:
            remembered = await place(client, key="with Redis")
            await health_with_redis(client)
            valkey.stop_immediately()

            replay = await client.post(
                "/api/orders/execute", json=an_order(), headers={"idempotency-key": "with Redis"}
            )
            assert (replay.status_code, replay.json()["orderId"]) == (200, remembered)
            order_id = await place(client, key="without Redis")
            assert (await finished(client, order_id))["status"] == "confirmed"
            health = await client.get("/health")
            assert (health.status_code, health.json()["redis"], health.json()["status"]) == (
                200,
                "disconnected",
                "degraded",
            )
            assert (await client.get("/readyz")).status_code == 200

            request = client.build_request(
                "POST", "/api/orders/execute", json=an_order(), headers={"idempotency-key": "without Redis"}
            )
            replays = await volley([url], 2 * LIMIT, request, address="127.0.0.1")
            assert Counter((answer.status, answer.body.get("orderId")) for answer in replays) == {
                (200, order_id): 2 * LIMIT
            }
            new = client.build_request("POST", "/api/orders/execute", json=an_order())
            orders = await volley([url], 2 * LIMIT, new, address="127.0.0.1")
            assert Counter(answer.status for answer in orders) == {201: LIMIT - 2, 429: LIMIT + 2}

        # It is gone for good: processes that start now do without it, too.
        successor = site.start_api().url
        async with client_of(successor) as client:
            assert (await finished(client, await place(client)))["status"] == "confirmed"
        await until(site.books.all_ended)
        assert await site.books.violations() == {}


class Told(NamedTuple):
    """What a client was told while the database was away."""

    status: int
    code: str
    retry_after: str | None


async def ask(client: httpx.AsyncClient, method: str, path: str, body: Json | None = None) -> Told:
    headers = {"idempotency-key": "through the outage"} if body else {}
    response = await client.request(method, path, json=body, headers=headers, timeout=10)
    return Told(response.status_code, response.json().get("code", ""), response.headers.get("retry-after"))


async def placed_in_the_end(client: httpx.AsyncClient) -> str:
    """The id of the order that a client gets who asks again, as it was told to, with the same key."""
    async with asyncio.timeout(10):
        while True:
            headers = {"idempotency-key": "through the outage"}
            response = await client.post("/api/orders/execute", json=an_order(), headers=headers)
            if response.is_success:
                order_id: str = response.json()["orderId"]
                return order_id
            assert response.status_code == 503
            await asyncio.sleep(int(response.headers["retry-after"]))


async def receive(socket: ClientConnection) -> Json:
    async with asyncio.timeout(20):
        message: Json = json.loads(await socket.recv())
    return message


async def test_without_postgres_clients_are_told_to_come_back_and_then_everything_goes_on(
    launcher: Launcher, postgres: EmbeddedPostgres, redis_url: str
) -> None:
    away = Told(503, "storage_unavailable", "1")
    with closing(Site(launcher, postgres.url, redis_url)) as site:
        site.start_worker(MOCK_DEX_EXECUTION_DELAY_MS="1500")
        async with client_of(site.start_api().url) as client:
            before = [await place(client)]
            async with watching(client, before[0]) as socket:
                early = [await receive(socket) for _ in range(4)]
                before += await place_many(client, 5)

                postgres.stop_immediately()
                told = await asyncio.gather(
                    ask(client, "POST", "/api/orders/execute", an_order()),
                    ask(client, "GET", f"/api/orders/{before[0]}"),
                    ask(client, "GET", f"/api/orders/{before[0]}/events"),
                    ask(client, "GET", "/api/orders?limit=5"),
                    ask(client, "POST", f"/api/orders/{before[0]}/execute"),
                )
                assert set(told) == {away}
                health, ready, live = [
                    (await ask(client, "GET", path)).status for path in ("/health", "/readyz", "/livez")
                ]
                assert (health, ready, live) == (503, 503, 200)
                postgres.start()

                retried = await placed_in_the_end(client)
                assert statuses([*early, *await the_rest(socket)]) == STEPS
            ended = [await finished(client, order_id) for order_id in [*before, retried, await place(client)]]
            assert [order["status"] for order in ended] == ["confirmed"] * len(ended)
            # One that was being quoted at that moment may have had no quote, and tried again.
            ways = [[step for step in statuses(order["events"]) if step != "retrying"] for order in ended]
            assert all(way[:1] + way[-4:] == STEPS for way in ways)
            assert (await client.get("/readyz")).status_code == 200
        assert await site.books.violations() == {}


async def test_a_watcher_outlives_the_api_and_sees_every_step_once(site: Site) -> None:
    api = site.start_api()
    async with client_of(api.url) as client:
        stored = await client.post("/api/orders", json=an_order())
        order_id = stored.json()["orderId"]
        watcher = site.launcher.start("watch", order_id, "--url", api.url)
        watcher.until_said("pending")

        async with watching(client, order_id, FLAT) as socket:
            assert (await receive(socket))["status"] == "pending"
            api.program.send(signal.SIGTERM)
            with pytest.raises(ConnectionClosed):
                await receive(socket)
            assert socket.close_code == 1012
        assert api.program.ended() == 0

        api = site.start_again(api)
        await until(lambda: watcher.output.count("reconnecting") == 1)
        assert (await client.get("/readyz")).status_code == 200
        api.program.send(signal.SIGKILL)
        assert api.program.ended() == -signal.SIGKILL

        site.start_again(api)
        site.start_worker()
        assert (await client.post(f"/api/orders/{order_id}/execute")).status_code == 202
    assert watcher.ended() == 0
    assert re.findall(r"^ +(\d+)  (\w+) ", watcher.output, re.MULTILINE) == [
        (str(number), status) for number, status in enumerate(STEPS, start=1)
    ]

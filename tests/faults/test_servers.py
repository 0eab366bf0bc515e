"""Servers that go away under load: 3 and 5."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Final

import pytest

from app.dev.embedded import EmbeddedPostgres, EmbeddedValkey
from tests.e2e.clients import an_order, client_of, volley
from tests.faults.client import Clients, clients
from tests.faults.operator import Operator
from tests.faults.test_requests import ELSEWHERE, HERE, log
from tests.faults.trial import Scenario, Stage, Trial
from tests.support.processes import linux_only

pytestmark = linux_only

CRASHES: Final = Scenario(
    3,
    "Postgres crashes",
    "Postgres stopped as by a crash and started again, under load",
    "every 2xx survives; clients see only 2xx, 429 or 503; all ended 30 s after the last start",
)
NO_REDIS: Final = Scenario(
    5,
    "Redis away",
    "Redis down for 30 s, back, then killed for good, under load",
    "0 non-2xx; POST p99 < 250 ms; idempotency exact; the rate limit in force per process",
)
TOLD_IN_OUTAGES: Final = {200, 201, 429, 503}
LIMIT: Final = 30
P99_SECONDS: Final = 0.25
HANGING_SECONDS: Final = 5.0


async def crash_postgres(trial: Trial, postgres: EmbeddedPostgres, operator: Operator) -> None:
    crashes, orders, seconds = trial.scale.pick((2, 120, 10), (10, 2000, 70))
    faults = trial.plan.faults(
        crashes, after=(0.4 * seconds / crashes, 0.9 * seconds / crashes), lasts=(0.0, 4.0)
    )
    apis = await trial.start_apis(2)
    await trial.start_workers(2)
    async with clients(trial.journal, [api.url for api in apis], watch_every=5) as them:
        load = asyncio.create_task(them.load(orders, seconds))
        for fault in faults:
            await asyncio.sleep(fault.after)
            await operator.does(postgres.stop_immediately)
            await asyncio.sleep(fault.lasts)
            await operator.does(postgres.start)
        up_since = time.monotonic()
        await load
        await trial.ended_within(30, since=up_since)
        await them.watched(30)
    trial.note("crashes", crashes)
    odd = {status: n for status, n in trial.journal.statuses.items() if status not in TOLD_IN_OUTAGES}
    trial.expect(not odd, f"clients were told {odd}")


async def lose_redis(trial: Trial, valkey: EmbeddedValkey, operator: Operator) -> None:
    phase, down, rate = trial.scale.pick((3, 5, 15), (10, 30, 30))
    [limited] = await trial.start_apis(1, API_MAX_ORDERS_PER_MIN=str(LIMIT))
    apis = await trial.start_apis(2)
    await trial.start_workers(1)
    seconds = 3 * phase + down
    async with clients(trial.journal, [api.url for api in apis], watch_every=5) as them:
        load = asyncio.create_task(them.load(rate * seconds, seconds))
        await repeat(trial, them, "with Redis", [api.url for api in apis])
        await asyncio.sleep(phase)
        away_since = time.monotonic()
        await operator.does(valkey.stop_immediately)
        await repeat(trial, them, "while it is down", [api.url for api in apis])
        await exceed_local_limit(trial, limited.url, HERE)
        await asyncio.sleep(down)
        await operator.does(valkey.start)
        await repeat(trial, them, "while it is down", [api.url for api in apis])
        await asyncio.sleep(phase)
        await operator.does(valkey.stop_immediately)
        await repeat(trial, them, "with Redis", [api.url for api in apis])
        await exceed_local_limit(trial, limited.url, ELSEWHERE)
        await load
        await trial.ended_within(20)
        await them.watched(30)
    odd = {status: n for status, n in trial.journal.statuses.items() if status not in {200, 201}}
    odd[429] = odd.get(429, 0) - 2 * LIMIT  # those that exceeded the limit on purpose
    trial.expect(not any(odd.values()), f"clients were told {odd}")
    expect_speed(trial, away_since)
    trial.note("down, s", down)


def expect_speed(trial: Trial, away_since: float) -> None:
    """The short form runs beside other tests, and only notices who waits for Redis until it gives up."""
    before = trial.journal.slowest(0.99, "order-", until=away_since)
    p99 = trial.journal.slowest(0.99, "order-")
    trial.note("POST p99, ms", p99 * 1000)
    trial.note("POST p99 while Redis was there, ms", before * 1000)
    bound = trial.scale.pick(HANGING_SECONDS, P99_SECONDS)
    trial.expect(p99 < bound, f"p99 of a POST was {p99 * 1000:.0f} ms, bound {bound * 1000:.0f} ms")


async def repeat(trial: Trial, them: Clients, key: str, urls: list[str]) -> None:
    """The same requests at all processes at once, again in another state of Redis: one order per key."""
    keys = [f"{key} {number}" for number in range(5)]
    await asyncio.gather(
        *(them.ask(url, key, an_order(slippageBps=500)) for key in keys for url in urls for _ in range(2))
    )


async def exceed_local_limit(trial: Trial, url: str, address: str) -> None:
    async with client_of(url) as client:
        request = client.build_request("POST", "/api/orders/execute", json=an_order(slippageBps=500))
        began = time.monotonic()
        replies = await volley([url], 2 * LIMIT, request, address=address)
    log(trial, replies, [f"{address}-{i}" for i in range(2 * LIMIT)], time.monotonic() - began)
    statuses = Counter(reply.status for reply in replies)
    trial.expect(statuses == {201: LIMIT, 429: LIMIT}, f"one process admitted {statuses} of {2 * LIMIT}")


@pytest.mark.timeout(400)
async def test_what_is_accepted_survives_crashes_of_postgres(
    stage: Stage, postgres: EmbeddedPostgres, operator: Operator
) -> None:
    async with stage.trial(CRASHES, database_url=postgres.url) as trial:
        await crash_postgres(trial, postgres, operator)
    assert trial.findings == []


@pytest.mark.timeout(400)
async def test_clients_do_not_notice_that_redis_is_away(
    stage: Stage, valkey: EmbeddedValkey, operator: Operator
) -> None:
    async with stage.trial(NO_REDIS, redis_url=valkey.url) as trial:
        await lose_redis(trial, valkey, operator)
    assert trial.findings == []

"""One order per key, whatever is asked how often, by whom at once, and whoever is away."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import pytest
import redis.asyncio

from app.api import idempotency
from app.settings import Settings
from app.storage.tally import REMEMBERED_SECONDS
from tests.support.books import Books
from tests.support.wire import wire_to_postgres

from .support import (
    CLOSED_PORT_REDIS,
    Api,
    a_settings,
    an_order,
    check_problem,
    eventually,
    running_api,
)


@pytest.mark.parametrize("header", ["Idempotency-Key", "x-idempotency-key", "X-IDEMPOTENCY-KEY"])
@pytest.mark.parametrize("path", ["/api/orders/execute", "/api/orders"])
async def test_a_repeat_is_answered_with_the_first_order(api: Api, path: str, header: str) -> None:
    first = await api.http.post(path, json=an_order(), headers={header: "demo-run-123"})
    second = await api.http.post(path, json=an_order(), headers={header: "demo-run-123"})

    assert (first.status_code, second.status_code) == (201, 200)
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert second.headers["location"] == first.headers["location"]
    assert second.content == first.content.replace(b'"idempotent":false', b'"idempotent":true')
    assert len((await api.http.get("/api/orders")).json()["orders"]) == 1


async def test_a_repeat_may_be_spelled_differently(api: Api) -> None:
    first = await api.place("key", amount=1.5, slippageBps=50)
    repeat = {"orderType": "MARKET", "inputToken": "SOL", "outputToken": "USDC", "amountIn": "1.50"}
    second = await api.http.post("/api/orders/execute", json=repeat, headers={"Idempotency-Key": "key"})

    assert second.status_code == 200
    assert second.json()["orderId"] == first.json()["orderId"]


@pytest.mark.parametrize(
    "other",
    [{"amount": 2}, {"tokenOut": "JUP"}, {"tokenIn": "RAY"}, {"slippageBps": 51}, {"wallet": "wallet-one"}],
)
@pytest.mark.parametrize("remembers", [True, False])
async def test_a_key_used_for_another_request_is_422(
    database_url: str, redis_url: str, remembers: bool, other: dict[str, object]
) -> None:
    async with running_api(a_settings(database_url, redis_url if remembers else "")) as api:
        await api.place("key")

        check_problem(await api.place("key", **other), 422, "idempotency_mismatch")
        assert (await api.place("key")).status_code == 200


async def test_a_key_of_an_order_that_was_only_stored_places_no_order(api: Api) -> None:
    await api.http.post("/api/orders", json=an_order(), headers={"Idempotency-Key": "key"})

    check_problem(await api.place("key"), 422, "idempotency_mismatch")


@pytest.mark.parametrize("key", ["", "a" * 256, "caf\u00e9", "a\tb"])
async def test_a_key_that_is_not_1_to_255_printable_characters_is_400(api: Api, key: str) -> None:
    headers = {b"Idempotency-Key": key.encode("latin-1")}
    answer = await api.http.post("/api/orders/execute", json=an_order(), headers=headers)

    check_problem(answer, 400, "invalid_idempotency_key")


@pytest.mark.parametrize("key", ["k", "a" * 255, "with spaces and !#~", '"quoted"', "a:b:c"])
async def test_any_other_key_works(api: Api, key: str) -> None:
    assert [(await api.place(key)).status_code for _ in range(2)] == [201, 200]


async def test_two_different_keys_in_one_request_are_400(api: Api) -> None:
    headers = {"Idempotency-Key": "one", "x-idempotency-key": "two"}
    answer = await api.http.post("/api/orders/execute", json=an_order(), headers=headers)
    check_problem(answer, 400, "invalid_idempotency_key")

    same = {"Idempotency-Key": "one", "x-idempotency-key": "one"}
    assert (await api.http.post("/api/orders/execute", json=an_order(), headers=same)).status_code == 201


@pytest.mark.parametrize("with_redis", [True, False])
async def test_of_200_concurrent_posts_with_one_key_one_makes_an_order(
    database_url: str, redis_url: str, with_redis: bool
) -> None:
    # With the default limit of 120 a minute: repeats are no orders, and are not counted.
    settings = a_settings(
        database_url, redis_url if with_redis else CLOSED_PORT_REDIS, api_max_orders_per_min=120
    )
    async with running_api(settings) as api:
        answers = await asyncio.gather(*(api.place("key") for _ in range(200)))

        assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 199}
        assert len({answer.json()["orderId"] for answer in answers}) == 1
        assert len((await api.http.get("/api/orders")).json()["orders"]) == 1


async def test_concurrent_posts_with_one_key_to_two_processes_make_one_order(settings: Settings) -> None:
    async with running_api(settings) as one, running_api(settings) as two:
        answers = await asyncio.gather(*(api.place("key") for _ in range(50) for api in (one, two)))

        assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 99}
        assert len({answer.json()["orderId"] for answer in answers}) == 1


async def test_concurrent_posts_of_two_requests_with_one_key_make_one_order(api: Api) -> None:
    answers = await asyncio.gather(*(api.place("key", amount=amount) for _ in range(20) for amount in (1, 2)))

    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 19, 422: 20}


async def test_a_repeat_is_answered_while_the_database_is_away(database_url: str, redis_url: str) -> None:
    async with wire_to_postgres(database_url) as wire:
        settings = a_settings(wire.through_url(database_url), redis_url)
        async with running_api(settings) as api, running_api(settings) as another:
            first = await api.place("key")
            await eventually(lambda: _is_in_redis(redis_url))
            wire.cut()

            for process in (api, another):
                repeat = await process.place("key")
                assert (repeat.status_code, repeat.json()["orderId"]) == (200, first.json()["orderId"])
            check_problem(await api.place("key", amount=2), 503, "storage_unavailable")


async def test_a_repeat_is_answered_when_the_limit_is_used_up_and_redis_away(database_url: str) -> None:
    async with running_api(a_settings(database_url, CLOSED_PORT_REDIS, api_max_orders_per_min=1)) as api:
        assert [(await api.place("key")).status_code for _ in range(3)] == [201, 200, 200]
        check_problem(await api.place("another"), 429, "rate_limited")


async def test_what_is_remembered_is_forgotten_after_a_day(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_api(a_settings(database_url, CLOSED_PORT_REDIS)) as api, Books(database_url) as books:
        first = await api.place("key")
        await books.ask("DELETE FROM orders")
        assert (await api.place("key")).status_code == 200
        a_day_later = time.monotonic() + REMEMBERED_SECONDS
        monkeypatch.setattr(idempotency, "monotonic", lambda: a_day_later)
        again = await api.place("key")

    assert again.status_code == 201
    assert again.json()["orderId"] != first.json()["orderId"]


async def test_a_memory_that_is_not_ours_leaves_the_decision_to_postgres(
    settings: Settings, database_url: str, redis_url: str
) -> None:
    async with (
        running_api(settings) as api,
        redis.asyncio.Redis.from_url(redis_url, decode_responses=True) as client,
    ):
        first = await api.place("key")

        await eventually(lambda: _is_in_redis(redis_url))
        (remembered,) = [key async for key in client.scan_iter("order-engine:idem:*:default:key")]
        assert 0 < await client.ttl(remembered) <= 24 * 60 * 60
        value = str(await client.get(remembered))
        for other in ("nonsense", "0" * 32 + value[32:], value[:33] + "no order"):
            await client.set(remembered, other)
            async with running_api(settings) as fresh:
                repeat = await fresh.place("key")
                assert (repeat.status_code, repeat.json()["orderId"]) == (200, first.json()["orderId"])


async def test_the_keys_of_one_ledger_are_no_repeats_in_another(
    settings: Settings, another_database_url: str, redis_url: str
) -> None:
    async with (
        running_api(settings) as api,
        running_api(a_settings(another_database_url, redis_url)) as other,
    ):
        assert (await api.place("key")).status_code == 201
        assert (await other.place("key")).status_code == 201


async def test_nothing_is_remembered_of_an_order_that_was_not_stored(
    database_url: str, redis_url: str
) -> None:
    async with (
        wire_to_postgres(database_url) as wire,
        running_api(a_settings(wire.through_url(database_url), redis_url)) as api,
        redis.asyncio.Redis.from_url(redis_url) as client,
    ):
        wire.cut()
        check_problem(await api.place("key"), 503, "storage_unavailable")
        assert [key async for key in client.scan_iter("order-engine:idem:*")] == []


async def _is_in_redis(url: str) -> bool:
    """Whether the key `key` is remembered for all processes: soon after the answer, and nobody waits for it."""
    async with redis.asyncio.Redis.from_url(url) as client:
        return bool([key async for key in client.scan_iter("order-engine:idem:*:default:key")])

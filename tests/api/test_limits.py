"""The limit on orders per minute: exact over all processes, and never in the way when Redis is away."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from app.execution import limits
from app.execution.limits import Client, LocalWindow
from app.settings import Settings
from app.storage import redis_guard
from tests.support.wire import Wire

from .support import (
    CLOSED_PORT_REDIS,
    NO_ORDER,
    Api,
    a_settings,
    an_order,
    check_problem,
    eventually,
    remaining,
    running_api,
)

ONE, OTHER = Client("default", "192.0.2.1"), Client("default", "192.0.2.2")


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return a_settings(database_url, redis_url, api_max_orders_per_min=5)


@pytest.fixture
async def wire(redis_url: str) -> AsyncIterator[Wire]:
    url = urlsplit(redis_url)
    async with Wire(url.hostname or "", url.port or 6379) as wire:
        yield wire


@pytest.fixture
async def wired(
    redis_url: str, wire: Wire, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Api]:
    monkeypatch.setattr("app.runtime.REDIS_SECONDS", 60)  # its own patience is not what ends a wait here
    """An API whose Redis can be cut off and frozen."""
    settings = a_settings(database_url, wire.through_url(redis_url), api_max_orders_per_min=5)
    async with running_api(settings) as api:
        yield api


async def test_every_answer_to_a_post_says_what_is_left(api: Api) -> None:
    first = await api.place("key")
    answers = {
        "repeat": await api.place("key"),
        "mismatch": await api.http.post(
            "/api/orders/execute", content=b"{", headers={"content-type": "application/json"}
        ),
        "media type": await api.http.post(
            "/api/orders", content=b"{}", headers={"content-type": "text/plain"}
        ),
        "too large": await api.http.post("/api/orders", content=b"x" * 100_000),
        "malformed id": await api.http.post("/api/orders/x/execute"),
        "unknown order": await api.http.post(f"/api/orders/{NO_ORDER}/execute"),
        "executed": await api.http.post(f"/api/orders/{first.json()['orderId']}/execute"),
    }

    assert first.headers["ratelimit-policy"] == '"orders";q=5;w=60'
    # None of these placed an order, so none of them was counted.
    assert {what: remaining(answer) for what, answer in answers.items()} == dict.fromkeys(answers, 4)
    assert remaining(await api.http.post("/api/orders", json=an_order())) == 3


async def test_orders_beyond_the_limit_are_429_and_told_when_to_come_back(api: Api) -> None:
    answers = [await api.place() for _ in range(6)]

    assert [answer.status_code for answer in answers] == [201] * 5 + [429]
    assert [remaining(answer) for answer in answers] == [4, 3, 2, 1, 0, 0]
    check_problem(answers[5], 429, "rate_limited")
    assert 50 <= int(answers[5].headers["retry-after"]) <= 60
    assert len((await api.http.get("/api/orders")).json()["orders"]) == 5


async def test_reads_are_not_limited(api: Api) -> None:
    for _ in range(6):
        await api.place()

    answer = await api.http.get("/api/orders")
    assert answer.status_code == 200
    assert "ratelimit" not in answer.headers


async def test_zero_is_no_limit_and_says_nothing(database_url: str, redis_url: str) -> None:
    async with running_api(a_settings(database_url, redis_url)) as api:
        answer = await api.place()

        assert answer.status_code == 201
        assert not {"ratelimit", "ratelimit-policy"} & answer.headers.keys()


async def test_the_limit_is_exact_over_two_processes(database_url: str, redis_url: str) -> None:
    settings = a_settings(database_url, redis_url, api_max_orders_per_min=40)
    async with running_api(settings) as one, running_api(settings) as two:
        answers = await asyncio.gather(*(api.place() for _ in range(60) for api in (one, two)))

        assert Counter(answer.status_code for answer in answers) == {201: 40, 429: 80}


async def test_the_limit_goes_by_the_clock_of_redis_whatever_a_process_takes_the_time_for(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time
    async with running_api(settings) as one, running_api(settings) as two:
        assert [(await one.place()).status_code for _ in range(5)] == [201] * 5
        for wrong_by in (3600, -3600):
            monkeypatch.setattr(time, "time", lambda wrong_by=wrong_by: now() + wrong_by)
            assert (await two.place()).status_code == 429


async def test_forwarded_addresses_are_believed_from_trusted_proxies_only(
    database_url: str, redis_url: str
) -> None:
    async def left(api: Api, address: str) -> int:
        headers = {"X-Forwarded-For": address}
        return remaining(await api.http.post("/api/orders", json=an_order(), headers=headers))

    believing = a_settings(database_url, redis_url, api_max_orders_per_min=9, trusted_proxies="127.0.0.1")
    async with running_api(believing) as api:
        assert [await left(api, address) for address in (ONE.address, ONE.address, OTHER.address)] == [
            8,
            7,
            8,
        ]
    async with running_api(a_settings(database_url, redis_url, api_max_orders_per_min=5)) as api:
        assert [await left(api, address) for address in (ONE.address, OTHER.address)] == [4, 3]


@pytest.mark.parametrize("redis_url", [CLOSED_PORT_REDIS, ""])
async def test_without_redis_this_process_limits_alone(settings: Settings) -> None:
    async with running_api(settings) as api:
        answers = [await api.place() for _ in range(6)]

        assert [answer.status_code for answer in answers] == [201] * 5 + [429]
        assert [remaining(answer) for answer in answers] == [4, 3, 2, 1, 0, 0]
        assert 50 <= int(answers[5].headers["retry-after"]) <= 60


async def test_a_redis_that_goes_away_is_replaced_at_once_and_taken_back(wired: Api, wire: Wire) -> None:
    assert [remaining(await wired.place()) for _ in range(2)] == [4, 3]

    wire.cut()
    # This process goes on from what it has let in.
    assert [remaining(await wired.place()) for _ in range(2)] == [2, 1]
    wire.mend()
    await eventually(lambda: _redis_is(wired, "connected"))
    # Redis knows of three, this process of all five.
    assert remaining(await wired.place()) == 0
    assert (await wired.place()).status_code == 429


async def test_a_redis_that_does_not_answer_delays_one_request_only(
    wired: Api, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    await wired.place("warm")
    monkeypatch.setattr(redis_guard, "TICKS", 5)
    wire.freeze()

    began = time.monotonic()
    answers = await asyncio.gather(*(wired.place() for _ in range(4)))
    first = time.monotonic() - began
    again = await wired.place("warm")

    assert [answer.status_code for answer in answers] == [201] * 4
    assert again.status_code == 200
    assert first < 10  # 50 ms, on a machine that does other things too
    assert await _redis_is(wired, "disconnected")
    wire.mend()
    await eventually(lambda: _redis_is(wired, "connected"))


async def test_a_window_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WINDOW", 0.2)
    window = LocalWindow(2)

    assert [window.take(ONE).is_admitted for _ in range(3)] == [True, True, False]
    assert window.take(OTHER).is_admitted
    assert (window.look(ONE).remaining, window.look(OTHER).remaining) == (0, 1)
    await eventually(lambda: _admits(window))


async def test_a_window_forgets_the_client_seen_longest_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_LOCAL_CLIENTS", 2)
    window = LocalWindow(1)

    for address in ("a", "b", "a", "c"):
        window.take(Client("default", address))

    assert not window.take(Client("default", "a")).is_admitted
    assert window.take(Client("default", "b")).is_admitted


async def _admits(window: LocalWindow) -> bool:
    return window.take(ONE).is_admitted


async def _redis_is(api: Api, state: str) -> bool:
    return bool((await api.http.get("/health")).json()["redis"] == state)

"""One key, many requests, two API processes: one order. And what a client sees of its allowance."""

from __future__ import annotations

import re
from collections import Counter
from uuid import uuid4

import httpx

from app.settings import Settings
from tests.e2e.clients import STEPS, Answer, an_order, client_of, finished, statuses, volley
from tests.e2e.conftest import Running
from tests.e2e.premises import Site
from tests.support.processes import linux_only

pytestmark = linux_only

LIMIT = Settings().api_max_orders_per_min
MANY = 200  # more requests than a client may place orders


async def test_two_hundred_posts_with_one_key_are_one_order_and_199_replays(engine: Running) -> None:
    key = f"volley-{uuid4()}"
    post = httpx.Request(
        "POST", f"{engine.url}/api/orders/execute", json=an_order(), headers={"idempotency-key": key}
    )
    answers = await volley(engine.urls, MANY, post, address="127.0.0.2")

    assert Counter(answer.status for answer in answers) == {201: 1, 200: MANY - 1}
    assert Counter(answer.body.pop("idempotent") for answer in answers) == {False: 1, True: MANY - 1}
    (body,) = {str(answer.body): answer.body for answer in answers}.values()
    (stored,) = engine.site.books.rows("SELECT id::text FROM orders WHERE idempotency_key = %s", key)
    assert body["orderId"] == stored[0]
    async with client_of(engine.url, address="127.0.0.2") as client:
        assert statuses((await finished(client, body["orderId"]))["events"]) == STEPS


async def test_a_key_with_another_request_is_refused_by_both_processes(engine: Running) -> None:
    headers = {"x-idempotency-key": f"mismatch-{uuid4()}"}
    answers: list[httpx.Response] = []
    for amount in (1, 2):
        for url in engine.urls:
            async with client_of(url, address="127.0.0.3") as client:
                body = an_order(amount=amount)
                answers.append(await client.post("/api/orders/execute", json=body, headers=headers))
    assert [answer.status_code for answer in answers] == [201, 200, 422, 422]
    for refused in answers[2:]:
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["code"] == "idempotency_mismatch"


async def test_the_allowance_is_one_over_both_processes(engine: Running) -> None:
    new = httpx.Request("POST", f"{engine.url}/api/orders/execute", json=an_order())
    for address in (f"127.0.0.{number}" for number in range(21, 27)):
        before = times_redis_was_away(engine)
        orders = await in_small_volleys(engine, LIMIT + 20, new, address)
        # When this machine is too busy, Redis counts as away for a moment, and the limit is one per process.
        if times_redis_was_away(engine) == before:
            break
    assert Counter(answer.status for answer in orders) == {201: LIMIT, 429: 20}
    async with client_of(engine.url, address="127.0.0.7") as another:
        assert (await another.send(new)).status_code == 201


async def test_a_client_sees_its_allowance_and_replays_take_nothing_from_it(site: Site) -> None:
    api = site.start_api(API_MAX_ORDERS_PER_MIN="3")
    async with client_of(api.url) as client:
        new = client.build_request("POST", "/api/orders/execute", json=an_order())
        repeated = client.build_request(
            "POST", "/api/orders/execute", json=an_order(), headers={"idempotency-key": "once"}
        )
        answers = [await client.send(request) for request in (repeated, *[repeated] * 5, new, new, new)]
        assert [answer.status_code for answer in answers] == [201, *[200] * 5, 201, 201, 429]
        assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"orders";q=3;w=60'}
        left = [re.fullmatch(r'"orders";r=(\d);t=\d+', answer.headers["ratelimit"]) for answer in answers]
        assert [found and found[1] for found in left] == [*"222222", *"100"]
        assert answers[-1].json()["code"] == "rate_limited"
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60

        replays = await volley([api.url], MANY, repeated, address="127.0.0.1")
        assert Counter(answer.status for answer in replays) == {200: MANY}


def times_redis_was_away(engine: Running) -> int:
    return sum(api.program.output.count("redis.away") for api in engine.apis)


async def in_small_volleys(
    engine: Running, number: int, request: httpx.Request, address: str
) -> list[Answer]:
    return [
        answer
        for _ in range(number // 4)
        for answer in await volley(engine.urls, 4, request, address=address)
    ]

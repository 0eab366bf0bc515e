"""The idempotent sandbox: replays by `x-idempotency-key`, a limit per minute, API and worker as two commands."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.compat.conftest import Engine
from tests.compat.user import User, a_free_port, a_user, here, objects, until_ready
from tests.e2e.clients import (
    FLAT,
    STEPS,
    Json,
    client_of,
    get,
    statuses,
    the_rest,
    volley,
    watch_to_the_end,
    watching,
)
from tests.e2e.premises import Site
from tests.e2e.programs import launching
from tests.support.processes import linux_only

pytestmark = linux_only

ADDRESS = "127.0.1.3"
ANOTHER_ADDRESS = "127.0.1.4"
BODY: Json = {"orderType": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": 1.5}
PER_MINUTE = 120

CREATE = r"""curl -X POST <PUBLIC_URL>/api/orders/execute \
  -H "Content-Type: application/json" \
  -H "x-idempotency-key: demo-run-123" \
  -d '{"orderType":"market","tokenIn":"SOL","tokenOut":"USDC","amount":1.5}'"""
PRODUCTION = """npm run build
npm run start:api &
npm run start:worker"""


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    with a_user(tmp_path_factory.mktemp("user")) as user:
        yield user


async def test_sending_the_same_key_again_replays_the_order(shell: User, engine: Engine) -> None:
    first, again = (json.loads(shell.types(here(CREATE, engine.url))) for _ in range(2))
    order_id = first["orderId"]
    assert (first["idempotent"], again["idempotent"]) == (False, True)
    assert again["orderId"] == order_id
    assert engine.books.rows("SELECT id::text FROM orders WHERE idempotency_key = 'demo-run-123'") == [
        (order_id,)
    ]
    async with client_of(engine.url, address=ADDRESS) as client:
        before = await watch_to_the_end(client, order_id, FLAT)
        repeated = await client.post(
            "/api/orders/execute", json=BODY, headers={"x-idempotency-key": "demo-run-123"}
        )
        assert repeated.status_code == 200
        assert await watch_to_the_end(client, repeated.json()["orderId"], FLAT) == before


async def test_the_snapshot_is_the_order_with_every_event(shell: User, engine: Engine) -> None:
    async with client_of(engine.url, address=ADDRESS) as client:
        order_id = (await client.post("/api/orders/execute", json=BODY)).json()["orderId"]
        streamed = await watch_to_the_end(client, order_id, FLAT)
    order = json.loads(shell.types(here(f"curl <PUBLIC_URL>/api/orders/{order_id}", engine.url)))
    assert (order["orderId"], order["status"], order["amount"]) == (order_id, "confirmed", 1.5)
    assert order["slippageBps"] == 50  # the default tolerance
    assert order["events"] == streamed


async def test_the_stream_replays_to_whoever_comes_late_and_goes_on_live(engine: Engine) -> None:
    async with client_of(engine.url, address=ADDRESS) as client:
        order_id = (await client.post("/api/orders/execute", json=BODY)).json()["orderId"]
        async with watching(client, order_id, FLAT) as early:
            first = [json.loads(await early.recv()) for _ in range(2)]  # it is being routed by now
            late = await watch_to_the_end(client, order_id, FLAT)
            assert first + await the_rest(early) == late
        assert statuses(late) == STEPS
        assert await watch_to_the_end(client, order_id, FLAT) == late


def test_the_documentation_is_swagger_and_needs_no_other_host(shell: User, engine: Engine) -> None:
    page = shell.types(here("curl -s <PUBLIC_URL>/docs", engine.url))
    assert "SwaggerUIBundle(" in page
    assert "//" not in page.replace("http://www.w3.org", "")
    paths = json.loads(shell.types(here("curl -s <PUBLIC_URL>/docs/openapi.json", engine.url)))["paths"]
    assert {"/api/orders/execute", "/health"} <= paths.keys()


async def test_deleting_an_order_from_the_database_takes_its_events_along(engine: Engine) -> None:
    async with client_of(engine.url, address=ADDRESS) as client:
        order_id = (await client.post("/api/orders", json=BODY)).json()["orderId"]
    (created,) = engine.books.rows(
        f"SELECT created_at <= clock_timestamp() FROM orders WHERE id = '{order_id}'"
    )
    assert created == (True,)
    assert engine.books.rows(f"DELETE FROM orders WHERE id = '{order_id}' RETURNING id::text") == [
        (order_id,)
    ]
    assert engine.books.rows(f"SELECT * FROM order_events WHERE order_id = '{order_id}'") == []


async def test_a_request_that_is_no_order_is_a_400(engine: Engine) -> None:
    async with client_of(engine.url, address=ADDRESS) as client:
        for wrong in ({"amount": -1}, {"tokenIn": "NOPE"}, {"orderType": "limit"}, {"tokenOut": None}):
            answer = await client.post("/api/orders/execute", json={**BODY, **wrong})
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


async def test_the_121st_order_of_a_minute_is_a_429(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with launching(tmp_path) as launcher, closing(Site(launcher, database_url, redis_url)) as site:
        api = site.start_api()
        post = httpx.Request("POST", f"{api.url}/api/orders/execute", json=BODY)
        answers = await volley([api.url], PER_MINUTE + 1, post, address=ADDRESS)
        assert Counter(answer.status for answer in answers) == {201: PER_MINUTE, 429: 1}
        async with client_of(api.url, address=ADDRESS) as client:
            refused = await client.send(post)
            assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
            assert 1 <= int(refused.headers["retry-after"]) <= 60
        async with client_of(api.url, address=ANOTHER_ADDRESS) as client:
            assert (await client.send(post)).status_code == 201


async def test_the_production_commands_obey_the_environment_knobs(
    user: User, database_url: str, redis_url: str
) -> None:
    port = a_free_port()
    user.types("cp .env.example .env")
    knobs = {"PORT": port, "DATABASE_URL": database_url, "REDIS_URL": redis_url, "DEFAULT_SLIPPAGE_BPS": 499,
             "API_MAX_ORDERS_PER_MIN": 5, "QUEUE_MAX_PER_MIN": 3, "MOCK_DEX_FAILURE_RATE": 0}  # fmt: skip
    user.edits_env(**{name: str(value) for name, value in knobs.items()}, APP_ENV="production")
    # The checkout is built: make only says what it would do.
    terminal = user.opens_terminal(PRODUCTION, MAKEFLAGS="n")
    until_ready(f"http://localhost:{port}", terminal)
    async with client_of(f"http://127.0.0.1:{port}", address=ADDRESS) as client:
        posts = [await client.post("/api/orders/execute", json=BODY) for _ in range(6)]
        assert [post.status_code for post in posts] == [201] * 5 + [429]
        orders = [post.json()["orderId"] for post in posts[:5]]
        started = await _ended(client, orders, 3)
        held = [await get(client, order_id) for order_id in orders if order_id not in started]
        assert {(order["status"], order["slippageBps"]) for order in held} == {("pending", 499)}
    shown = user.types(f"npm run ws -- {started[0]}")
    assert [line.split()[1] for line in shown.splitlines() if line.lstrip()[:1].isdigit()] == STEPS
    assert {line.get("event") for line in objects(terminal.output)} >= {"api.started", "worker.started"}


async def _ended(client: httpx.AsyncClient, orders: list[str], number: int) -> list[str]:
    """So many of these orders, as soon as they have ended."""
    deadline = time.monotonic() + 20
    while True:
        found = [await get(client, order) for order in orders]
        ended = [order["orderId"] for order in found if order["status"] == "confirmed"]
        if len(ended) >= number:
            return ended
        if time.monotonic() > deadline:
            pytest.fail(json.dumps([order["events"] for order in found], indent=1))
        await asyncio.sleep(0.05)

"""The flat quick start: one call to place, one flat stream to watch, `maxSlippageBps`, and a health check at `/`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from uuid import UUID

import pytest
import yaml

from app.settings import parse_settings
from tests.compat.conftest import Engine
from tests.compat.user import User, a_user, here, objects
from tests.e2e.clients import (
    FLAT,
    STEPS,
    Json,
    client_of,
    finished,
    place,
    slipped,
    statuses,
    watch_to_the_end,
)
from tests.e2e.programs import ROOT
from tests.support.processes import linux_only
from tests.support.routes import assert_the_better_is_chosen

pytestmark = linux_only

ADDRESS = "127.0.1.1"
BODY: Json = {"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": 1.25, "maxSlippageBps": 100}
TIGHT: Json = {**BODY, "amount": 0.5, "maxSlippageBps": 1}

HEALTH = "curl http://localhost:3000/"
SUCCESS = r"""curl -sS -X POST http://localhost:3000/api/orders/execute \
  -H "Content-Type: application/json" \
  -d '{"type":"market","tokenIn":"SOL","tokenOut":"USDC","amount":1.25,"maxSlippageBps":100}'"""
FAILURE = r"""curl -sS -X POST http://localhost:3000/api/orders/execute \
  -H "Content-Type: application/json" \
  -d '{"type":"market","tokenIn":"SOL","tokenOut":"USDC","amount":0.5,"maxSlippageBps":1}'"""
SUBSCRIBE = r"""# subscribe while creating the order (so you see all states)
ID=$(curl -sS -X POST http://localhost:3000/api/orders/execute \
  -H "Content-Type: application/json" \
  -d '{"type":"market","tokenIn":"SOL","tokenOut":"USDC","amount":1.25,"maxSlippageBps":100}' | jq -r .orderId)

websocat ws://localhost:3000/api/orders/execute?orderId=$ID"""


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    with a_user(tmp_path_factory.mktemp("user")) as user:
        yield user


def test_the_root_answers_exactly_ok(user: User, engine: Engine) -> None:
    assert user.types(here(HEALTH, engine.url)) == '{"ok":true}'


def test_the_port_is_3000_unless_told_otherwise() -> None:
    assert parse_settings({}).port == 3000


async def test_creating_returns_the_id_and_the_path_to_watch(user: User, engine: Engine) -> None:
    created = json.loads(user.types(here(SUCCESS, engine.url)))
    assert str(UUID(created["orderId"])) == created["orderId"]
    assert created["ws"] == f"/api/orders/execute?orderId={created['orderId']}"
    async with client_of(engine.url, address=ADDRESS) as client:
        order = await finished(client, created["orderId"])
        assert (order["amount"], order["slippageBps"], order["status"]) == (1.25, 100, "confirmed")
        assert created["orderId"] == (await watch_to_the_end(client, created["ws"], "{}"))[0]["orderId"]


async def test_one_basis_point_is_too_tight_for_nine_orders_of_ten(user: User, engine: Engine) -> None:
    created = json.loads(user.types(here(FAILURE, engine.url)))
    async with client_of(engine.url, address=ADDRESS) as client:
        posts = [await client.post("/api/orders/execute", json=TIGHT) for _ in range(9)]
        orders = [await finished(client, post.json()["orderId"]) for post in posts]
        orders.append(await finished(client, created["orderId"]))
    failed = [order for order in orders if order["status"] == "failed"]
    assert len(failed) >= 9
    for order in failed:
        assert order["failure"]["code"] == "slippage_exceeded"
        assert order["failure"]["fundsMoved"] == "no"
        assert order["amountOut"] is None
        assert statuses(order["events"]) == [*STEPS[:-1], "failed"]


def test_the_websocat_lines_stream_every_state(user: User, engine: Engine) -> None:
    assert statuses(objects(user.types(here(SUBSCRIBE, engine.url)))) == STEPS


async def test_the_messages_of_the_stream_have_the_documented_fields(engine: Engine) -> None:
    async with client_of(engine.url, address=ADDRESS) as client:
        order_id = (await client.post("/api/orders/execute", json=BODY)).json()["orderId"]
        messages = await watch_to_the_end(client, order_id, FLAT)
    assert statuses(messages) == STEPS
    for message in messages:
        assert message["orderId"] == order_id
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", message["ts"])
    confirmed = messages[-1]
    assert isinstance(confirmed["txHash"], str)
    assert isinstance(confirmed["executedPrice"], float)
    assert confirmed["executedPrice"] == pytest.approx(confirmed["amountOut"] / 1.25, rel=1e-6)


async def test_quotes_of_both_venues_come_with_building_and_the_better_one_is_chosen(engine: Engine) -> None:
    async with client_of(engine.url, address=ADDRESS) as client:
        order_id = (await client.post("/api/orders/execute", json=BODY)).json()["orderId"]
        messages = await watch_to_the_end(client, order_id, FLAT)
    assert [message["status"] for message in messages if "quotes" in message] == ["building"]
    building = messages[2]
    assert {quote["dex"] for quote in building["quotes"]} == {"raydium", "meteora"}
    assert all(isinstance(quote["price"], float) for quote in building["quotes"])
    assert_the_better_is_chosen(building)


async def test_the_order_is_in_postgres_with_venue_prices_and_transaction_or_reason(engine: Engine) -> None:
    async with client_of(engine.url, address=ADDRESS) as client:
        confirmed = await finished(client, await place(client, **BODY))
        failed = await slipped(client, amount=0.5)
    for order in (confirmed, failed):
        (row,) = engine.books.rows(f"""
            SELECT status::text, venue, signature, quoted_out, amount_out, failure_code
              FROM orders WHERE id = '{order["orderId"]}'""")
        status, venue, signature, quoted_out, amount_out, failure_code = row
        assert (status, venue, signature) == (order["status"], order["dex"], order["txHash"])
        assert float(quoted_out / Decimal(10**6)) == order["quotedAmountOut"]
        assert amount_out is None or float(amount_out / Decimal(10**6)) == order["amountOut"]
        assert failure_code == (order["failure"] or {}).get("code")
    assert confirmed["minAmountOut"] <= confirmed["executedPrice"] * 1.25 * (1 + 1e-9)
    assert failed["failure"]["code"] == "slippage_exceeded"


def test_docker_compose_brings_up_database_redis_api_and_worker_and_keeps_the_orders() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    services = compose["services"]
    assert {"postgres", "redis", "api", "worker"} <= services.keys()
    assert services["api"]["build"] == "."
    assert services["api"]["ports"] == ["127.0.0.1:${PORT:-3000}:3000"]
    # What `docker compose down` keeps, and `down -v` deletes.
    assert [volume.split(":")[0] for volume in services["postgres"]["volumes"]] == list(compose["volumes"])

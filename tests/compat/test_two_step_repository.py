"""The two-step repository: orders are stored, then executed once; wallets, `inputToken`, enveloped messages."""

from __future__ import annotations

import signal
from collections import Counter
from datetime import datetime
from urllib.parse import urlsplit

import httpx

from app.settings import parse_settings
from tests.compat.conftest import Engine
from tests.compat.user import User, a_free_port, here, until_ready
from tests.e2e.clients import (
    ENVELOPED,
    STEPS,
    Json,
    client_of,
    finished,
    get,
    health_with_redis,
    statuses,
    volley,
    watch_to_the_end,
)
from tests.e2e.ledger import Books
from tests.support.processes import eventually, linux_only
from tests.support.servers import Servers, database_name

pytestmark = linux_only

ADDRESS = "127.0.1.2"
MANY = 50
CLIENTS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
REFUSED = 7  # what curl says of a port where nobody listens
BODY: Json = {"userWallet": "wallet-address", "inputToken": "SOL", "outputToken": "USDC", "inputAmount": 10}
ENV = """NODE_ENV=development
PORT={port}

DB_HOST=localhost
DB_PORT={db_port}
DB_NAME={db_name}
DB_USER={db_user}
DB_PASSWORD={db_password}

REDIS_HOST=localhost
REDIS_PORT={redis_port}
"""


async def test_an_order_that_was_only_created_waits(engine: Engine) -> None:
    async with client_of(engine.url, address=ADDRESS) as client:
        created = await client.post("/api/orders", json=BODY)
        assert created.status_code == 201
        order_id = created.json()["orderId"]
        # One that was placed later is through, and the first one has not begun.
        await finished(client, (await client.post("/api/orders/execute", json=BODY)).json()["orderId"])
        order = await get(client, order_id)
    assert (order["status"], order["queued"], order["wallet"]) == ("pending", False, "wallet-address")
    assert (order["tokenIn"], order["tokenOut"], order["amount"]) == ("SOL", "USDC", 10)


async def test_executing_in_one_step_follows_the_lifecycle(engine: Engine) -> None:
    async with client_of(engine.url, address=ADDRESS) as client:
        placed = await client.post("/api/orders/execute", json=BODY)
        assert placed.status_code == 201
        order = await finished(client, placed.json()["orderId"])
    assert order["wallet"] == "wallet-address"
    assert statuses(order["events"]) == STEPS
    assert all(status == status.lower() for status in statuses(order["events"]))


async def test_of_fifty_concurrent_executes_exactly_one_succeeds(engine: Engine) -> None:
    async with client_of(engine.url, address=ADDRESS) as client:
        order_id = (await client.post("/api/orders", json=BODY)).json()["orderId"]
        execute = httpx.Request("POST", f"{engine.url}/api/orders/{order_id}/execute")
        answers = await volley([engine.url], MANY, execute, address=ADDRESS)
        order = await finished(client, order_id)
        late = await client.post(f"/api/orders/{order_id}/execute")
    assert Counter(answer.status for answer in answers) == {202: 1, 409: MANY - 1}
    assert {answer.body["code"] for answer in answers if answer.status == 409} == {"not_executable"}
    assert late.status_code == 409
    assert statuses(order["events"]) == STEPS
    assert engine.books.rows(f"SELECT count(*) FROM order_attempts WHERE order_id = '{order_id}'") == [(1,)]


async def test_the_orders_of_a_wallet_are_listed_newest_first_and_limited(engine: Engine) -> None:
    wallet = "wallet-with-a-list"
    async with client_of(engine.url, address=ADDRESS) as client:
        posts = [await client.post("/api/orders", json={**BODY, "userWallet": wallet}) for _ in range(3)]
        newest_first = [post.json()["orderId"] for post in reversed(posts)]
        everything = (await client.get(f"/api/orders/user/{wallet}?limit=50")).json()
        two = (await client.get(f"/api/orders/user/{wallet}?limit=2")).json()
        nobody = (await client.get("/api/orders/user/wallet-of-nobody")).json()
    assert [order["orderId"] for order in everything["orders"]] == newest_first
    assert {order["wallet"] for order in everything["orders"]} == {wallet}
    assert [order["orderId"] for order in two["orders"]] == newest_first[:2]
    assert (everything["hasMore"], two["hasMore"], nobody["orders"]) == (False, True, [])


async def test_the_stream_at_ws_orders_carries_enveloped_messages(engine: Engine) -> None:
    async with client_of(engine.url, address=ADDRESS) as client:
        order_id = (await client.post("/api/orders/execute", json=BODY)).json()["orderId"]
        messages = await watch_to_the_end(client, order_id, ENVELOPED)
    assert statuses(messages) == STEPS
    for message in messages:
        assert message.keys() == {"type", "orderId", "sequence", "status", "timestamp", "data"}
        assert (message["type"], message["orderId"]) == ("status", order_id)
    assert messages[-1]["data"].keys() >= {"txHash", "executedPrice", "amountOut"}


async def test_health_names_database_and_redis(engine: Engine) -> None:
    async with client_of(engine.url, address=ADDRESS) as client:
        await health_with_redis(client)
        health = await client.get("/health")
    assert health.status_code == 200
    assert health.json() == {"status": "ok", "ok": True, "database": "connected", "redis": "connected"}


def test_the_delays_and_the_failure_rate_have_the_documented_names_and_defaults() -> None:
    default = parse_settings({})
    assert (default.mock_dex_quote_delay_ms, default.mock_dex_execution_delay_ms) == (200, 2500)
    assert default.mock_dex_failure_rate == 0.05
    names = ("MOCK_DEX_QUOTE_DELAY_MS", "MOCK_DEX_EXECUTION_DELAY_MS", "MOCK_DEX_FAILURE_RATE")
    given = parse_settings(dict.fromkeys(names, "1"))
    assert (given.mock_dex_quote_delay_ms, given.mock_dex_execution_delay_ms) == (1, 1)
    assert given.mock_dex_failure_rate == 1


async def test_npm_run_dev_serves_with_the_documented_env_and_stops_gracefully(
    user: User, server_urls: Servers, database_url: str
) -> None:
    database, redis = urlsplit(server_urls.database_url), urlsplit(server_urls.redis_url)
    port = a_free_port()
    user.writes_env(ENV.format(
        port=port, db_port=database.port, db_name=database_name(database_url), db_user=database.username,
        db_password=database.password or "", redis_port=redis.port,
    ))  # fmt: skip
    # Quick only in failing: the delays are the documented ones.
    defaults = {
        "MOCK_DEX_QUOTE_DELAY_MS": "",
        "MOCK_DEX_EXECUTION_DELAY_MS": "",
        "MOCK_DEX_FAILURE_RATE": "0",
    }
    engine = user.opens_terminal("exec npm run dev", REDIS_PASSWORD=redis.password or "", **defaults)
    url = f"http://localhost:{port}"
    until_ready(url, engine)
    async with client_of(f"http://127.0.0.1:{port}", address=ADDRESS) as client:
        await health_with_redis(client)
        order_id = (await client.post("/api/orders/execute", json={**BODY, "inputAmount": 1})).json()[
            "orderId"
        ]
        order = await finished(client, order_id)
        assert order["status"] in {"confirmed", "failed"}
        assert statuses(order["events"])[:4] == STEPS[:4]
        waited = (
            _at(order["events"][2]) - _at(order["events"][1]),
            _at(order["events"][4]) - _at(order["events"][3]),
        )
        assert waited[0] >= 0.2
        assert waited[1] >= 2.5
        in_flight = (await client.post("/api/orders/execute", json=BODY)).json()["orderId"]
    assert user.types(here("curl -s http://localhost:3000/health", url)).startswith('{"status":"ok"')
    engine.send(signal.SIGTERM)
    engine.ended()
    assert "Stopping …" in engine.output
    assert f"{order['dex']} chosen: " in engine.output
    eventually(lambda: not user.left())
    assert user.tries(here("curl -s http://localhost:3000/health", url)).returncode == REFUSED
    books = Books(database_url)
    eventually(lambda: books.rows(CLIENTS) == [(1,)])
    assert books.rows(f"SELECT claimed_by FROM orders WHERE id = '{in_flight}'") == [(None,)]  # handed back


def test_npm_start_refuses_production_without_the_required_variables(user: User) -> None:
    user.writes_env(
        "NODE_ENV=production\nPORT=0\nDB_HOST=localhost\nDB_NAME=order_execution\nREDIS_HOST=localhost\n"
    )
    refused = user.tries("npm start")
    assert refused.returncode != 0
    assert "APP_ENV is production, but DB_USER and DB_PASSWORD are not set" in refused.stderr
    user.writes_env("PORT=0\n")
    refused = user.tries("NODE_ENV=production npm start")
    assert refused.returncode != 0
    assert "APP_ENV is production, but DATABASE_URL and REDIS_URL are not set" in refused.stderr


def _at(event: Json) -> float:
    return datetime.fromisoformat(event["ts"]).timestamp()

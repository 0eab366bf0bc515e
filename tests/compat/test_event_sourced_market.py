"""The event-sourced market: `MARKET` orders, an event log to read, retries to see, snippets for a shell."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import connect

from tests.compat.conftest import Engine
from tests.compat.user import User, a_free_port, a_user, here, objects, until_ready
from tests.e2e.clients import FLAT, STEPS, Json, client_of, finished, statuses, watch_to_the_end
from tests.support.processes import linux_only
from tests.support.routes import assert_the_better_is_chosen

pytestmark = linux_only

ADDRESS = "127.0.1.5"
BODY: Json = {"type": "MARKET", "tokenIn": "SOL", "tokenOut": "USDC", "amountIn": 1, "slippageBps": 50}

HEALTH = """BASE="https://engine.example"
curl -s "$BASE/health\""""
CREATE_AND_STREAM = r"""BASE="https://engine.example"

ORDER_ID=$(curl -s -X POST "$BASE/api/orders/execute" \
  -H "content-type: application/json" \
  -d '{"type":"MARKET","tokenIn":"SOL","tokenOut":"USDC","amountIn":1,"slippageBps":50}' \
  | python3 -c 'import sys,json; print(json.load(sys.stdin)["orderId"])')

echo "ORDER_ID=$ORDER_ID"

WS_BASE=$(echo "$BASE" | sed 's/^https:/wss:/; s/^http:/ws:/')
npx wscat -c "$WS_BASE/api/orders/execute?orderId=$ORDER_ID"
"""
SNAPSHOT_AND_HISTORY = r"""curl -s "$BASE/api/orders/$ORDER_ID"
echo
curl -s "$BASE/api/orders/$ORDER_ID/events"
echo
"""
FIVE_IN_PARALLEL = r"""# Create 5 orders in parallel
BASE="https://engine.example"

seq 1 5 | xargs -n1 -P5 -I{} sh -c \
'curl -s -X POST "'"$BASE"'/api/orders/execute" \
  -H "content-type: application/json" \
  -d '"'"'{"type":"MARKET","tokenIn":"SOL","tokenOut":"USDC","amountIn":1,"slippageBps":50}'"'"'; echo'
"""
ENV = """PORT=3000
DATABASE_URL=postgres://app:app@localhost:5432/orders
REDIS_URL=redis://localhost:6379
MOCK_FAIL_RATE=0
"""
LOCAL_HEALTH = "curl -s http://localhost:3000/health\n"
LOCAL_DEMO = r"""ORDER_ID=$(curl -s -X POST http://localhost:3000/api/orders/execute \
  -H "content-type: application/json" \
  -d '{"type":"MARKET","tokenIn":"SOL","tokenOut":"USDC","amountIn":1,"slippageBps":50}' \
  | python3 -c 'import sys,json; print(json.load(sys.stdin)["orderId"])')

echo "ORDER_ID=$ORDER_ID"
npx wscat -c "ws://localhost:3000/api/orders/execute?orderId=$ORDER_ID"
"""
LOCAL_DEBUG = r"""echo
curl -s "http://localhost:3000/api/orders/$ORDER_ID"
echo
curl -s "http://localhost:3000/api/orders/$ORDER_ID/events"
"""


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    with a_user(tmp_path_factory.mktemp("user")) as user:
        yield user


def test_the_health_lines(shell: User, engine: Engine) -> None:
    assert json.loads(shell.types(here(HEALTH, engine.url)))["ok"] is True


def test_the_lines_that_stream_an_order_and_read_its_history(shell: User, engine: Engine) -> None:
    printed = shell.types(here(CREATE_AND_STREAM + SNAPSHOT_AND_HISTORY, engine.url))
    *streamed, snapshot, history = objects(printed)
    assert printed.startswith(f"ORDER_ID={snapshot['orderId']}\n")
    assert statuses(streamed) == STEPS
    assert (snapshot["status"], snapshot["type"], snapshot["amount"]) == ("confirmed", "market", 1)
    assert history == {"orderId": snapshot["orderId"], "events": streamed}


async def test_the_line_that_creates_five_orders_in_parallel(shell: User, engine: Engine) -> None:
    created = objects(shell.types(here(FIVE_IN_PARALLEL, engine.url)))
    assert len({order["orderId"] for order in created}) == 5
    async with client_of(engine.url, address=ADDRESS) as client:
        orders = await asyncio.gather(*(finished(client, order["orderId"]) for order in created))
    assert [statuses(order["events"]) for order in orders] == [STEPS] * 5


async def test_the_venue_with_the_best_net_output_is_chosen(engine: Engine) -> None:
    async with client_of(engine.url, address=ADDRESS) as client:
        order_id = (await client.post("/api/orders/execute", json={**BODY, "amountIn": 1000})).json()[
            "orderId"
        ]
        building = (await watch_to_the_end(client, order_id, FLAT))[2]
    for quote in building["quotes"]:
        assert quote["amountOut"] == pytest.approx(1000 * quote["price"] * (1 - quote["fee"]), rel=1e-6)
    assert_the_better_is_chosen(building)


async def test_every_step_is_a_row_of_the_event_log_with_the_status_before_it(engine: Engine) -> None:
    async with client_of(engine.url, address=ADDRESS) as client:
        order_id = (await client.post("/api/orders/execute", json=BODY)).json()["orderId"]
        order = await finished(client, order_id)
    rows = engine.books.rows(f"""
        SELECT sequence, previous::text, status::text FROM order_events WHERE order_id = '{order_id}' ORDER BY 1""")
    assert rows == list(zip(range(1, 6), [None, *STEPS[:-1]], STEPS, strict=True))
    assert [event["status"] for event in order["events"]] == STEPS


async def test_requests_that_cannot_be_understood_are_a_400(engine: Engine) -> None:
    wrong: list[Json] = [
        {**BODY, "type": "LIMIT"},
        {**BODY, "amountIn": 0},
        {**BODY, "amountIn": "a lot"},
        {**BODY, "slippageBps": -1},
        {name: value for name, value in BODY.items() if name != "tokenIn"},
    ]
    async with client_of(engine.url, address=ADDRESS) as client:
        for body in wrong:
            answer = await client.post("/api/orders/execute", json=body)
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
            assert len(answer.json()["errors"]) == 1


async def test_a_stream_without_order_id_says_so_and_closes(engine: Engine) -> None:
    url = f"ws{engine.url.removeprefix('http')}/api/orders/execute"
    async with connect(url, proxy=None) as socket:
        message = json.loads(await socket.recv())
        assert (message["type"], message["code"]) == ("error", "invalid_parameter")
        assert "orderId" in message["message"]
        await asyncio.wait_for(socket.wait_closed(), 10)
    assert socket.close_code == 4400


async def test_a_plain_get_of_the_stream_is_told_to_upgrade(engine: Engine) -> None:
    async with client_of(engine.url, address=ADDRESS) as client:
        answer = await client.get("/api/orders/execute?orderId=01997d4e-6c3a-7c43-9f0b-0c9d1a4a8f11")
    assert (answer.status_code, answer.headers["upgrade"]) == (426, "websocket")


async def test_the_local_demo_and_a_worker_with_a_failure_rate_that_shows_retries_and_final_failures(
    user: User, database_url: str, redis_url: str
) -> None:
    url = _prepare(user, database_url, redis_url)
    terminals = [
        user.opens_terminal("exec npm run dev:api"),
        user.opens_terminal("MOCK_FAIL_RATE=0.8 npm run worker"),
    ]
    until_ready(url, *terminals)
    printed = user.types(here(f"{LOCAL_HEALTH}echo\n{LOCAL_DEMO}{LOCAL_DEBUG}", url))
    health, *streamed, snapshot, history = objects(printed)
    assert health["ok"] is True
    assert statuses(streamed)[:4] == STEPS[:4]
    assert snapshot["status"] == streamed[-1]["status"]
    assert snapshot["status"] in {"confirmed", "failed"}
    assert snapshot["events"] == history["events"] == streamed

    async with client_of(url.replace("localhost", "127.0.0.1"), address=ADDRESS) as client:
        posts = [await client.post("/api/orders/execute", json=BODY) for _ in range(32)]
        streams = await asyncio.gather(
            *(watch_to_the_end(client, post.json()["orderId"], FLAT) for post in posts)
        )
    _check_retries(streams)


def _check_retries(streams: list[list[Json]]) -> None:
    """Four attempts of five fail: some orders try again, and some give up."""
    failed = {"execution_failed"}  # others may not have had a quote in time, on a busy machine
    streams = [each for each in streams if {step["code"] for step in each if "code" in step} <= failed]
    retries = [message for messages in streams for message in messages if message["status"] == "retrying"]
    assert retries
    for retry in retries:
        assert retry["attempt"] in {1, 2}
        assert (retry["maxAttempts"], retry["retryable"]) == (3, True)
    given_up = [messages for messages in streams if messages[-1]["status"] == "failed"]
    assert given_up
    for messages in given_up:
        tries = ["routing", "building", "submitted"]
        assert statuses(messages) == ["pending", *tries, "retrying", *tries, "retrying", *tries, "failed"]
        assert messages[-1]["message"]
        first, second = (_wait(message) for message in messages if message["status"] == "retrying")
        assert 0.2 < first < 0.55  # half a second, half of it jitter
        assert 0.45 < second < 1.05  # then twice that


def _prepare(user: User, database_url: str, redis_url: str) -> str:
    """The README's own `.env`, host, port and credentials aside; the engine's address."""
    port = a_free_port()
    database, redis = (urlsplit(url) for url in (database_url, redis_url))
    env = ENV.replace("3000", str(port)).replace(
        "app:app@localhost:5432/orders", f"{database.netloc}{database.path}"
    )
    env = env.replace("localhost:6379", f"{redis.netloc}{redis.path}")
    (user.folder / ".env.example").write_text(env, encoding="utf-8")
    user.types("cp .env.example .env")
    return f"http://localhost:{port}"


def _wait(retry: Json) -> float:
    """Seconds until the next attempt."""
    due, at = (datetime.fromisoformat(retry[name]) for name in ("nextAttemptAt", "ts"))
    return (due - at).total_seconds()

"""Orders that fail: what watchers and readers are told of why, and of what comes next."""

from __future__ import annotations

import asyncio
from datetime import datetime

from tests.e2e.clients import (
    ENVELOPED,
    FLAT,
    STEPS,
    Json,
    client_of,
    finished,
    get,
    place,
    statuses,
    watch_to_the_end,
)
from tests.e2e.conftest import Running
from tests.e2e.premises import Site
from tests.support.processes import linux_only

pytestmark = linux_only

ATTEMPT = ["routing", "building", "submitted"]


async def test_an_order_that_tolerates_1_bps_fails_once_and_for_all(engine: Running) -> None:
    async with client_of(engine.url, address="127.0.0.6") as client:
        # A pair whose price hardly moves: what an execution costs is always more than 1 bps.
        order_id = await place(client, tokenIn="USDC", tokenOut="USDT", amount=50, slippageBps=1)
        messages = await watch_to_the_end(client, order_id, FLAT)
        order = await get(client, order_id)
    assert statuses(messages) == [*STEPS[:-1], "failed"]
    why = {"code": "slippage_exceeded", "retryable": False, "fundsMoved": "no"}
    assert why.items() <= messages[-1].items()
    assert messages[-1]["message"]
    assert why.items() <= order["failure"].items()
    assert (order["status"], order["attempts"], order["amountOut"]) == ("failed", 1, None)
    assert order["events"] == messages


async def test_orders_whose_transactions_fail_are_tried_three_times(site: Site) -> None:
    site.start_worker(MOCK_DEX_FAILURE_RATE="1")
    async with client_of(site.start_api().url) as client:
        orders = [await place(client), await place(client)]
        flat, enveloped = await asyncio.gather(
            watch_to_the_end(client, orders[0], FLAT), watch_to_the_end(client, orders[1], ENVELOPED)
        )
        ended = [await finished(client, order_id) for order_id in orders]
    assert ended[0]["events"] == flat
    for messages in (flat, [{**message, **message["data"]} for message in enveloped]):
        check_three_attempts(messages)
    for order in ended:
        assert (order["status"], order["attempts"]) == ("failed", 3)
        assert order["failure"]["code"] == "execution_failed"
    assert await site.books.violations() == {}
    sent = site.books.rows(
        "SELECT count(*), count(DISTINCT signature) FROM order_attempts WHERE outcome = 'failed'"
    )
    assert sent == [(6, 6)]


def check_three_attempts(messages: list[Json]) -> None:
    assert statuses(messages) == ["pending", *ATTEMPT, "retrying", *ATTEMPT, "retrying", *ATTEMPT, "failed"]
    retries = [message for message in messages if message["status"] == "retrying"]
    assert [(retry["attempt"], retry["maxAttempts"]) for retry in retries] == [(1, 3), (2, 3)]
    for retry in retries:
        assert {"code": "execution_failed", "retryable": True, "fundsMoved": "no"}.items() <= retry.items()
        again = messages[retry["sequence"]]
        assert at(again) >= datetime.fromisoformat(retry["nextAttemptAt"]) > at(retry)
    assert {"code": "execution_failed", "retryable": True, "fundsMoved": "no"}.items() <= messages[-1].items()
    assert len({message["txHash"] for message in messages if message["status"] == "submitted"}) == 3


def at(message: Json) -> datetime:
    return datetime.fromisoformat(message["ts"] if "ts" in message else message["timestamp"])

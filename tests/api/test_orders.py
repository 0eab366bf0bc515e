"""Placing, executing and reading orders, as the clients of comparable engines do it."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import msgspec
import pytest

from app.settings import Settings
from tests.stream.support import HAPPY_WAY, Orders
from tests.support.routes import assert_the_better_is_chosen, promised

from .support import NO_ORDER, Api, an_order, check_problem, eventually, working

# What the documentation of five such engines tells their clients to send.
SPELLINGS: list[dict[str, Any]] = [
    {"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": 1.25, "maxSlippageBps": 100},
    {"userWallet": "wallet-address", "inputToken": "SOL", "outputToken": "USDC", "inputAmount": 10},
    {"orderType": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": 1.5},
    {"type": "MARKET", "tokenIn": "SOL", "tokenOut": "USDC", "amountIn": 1, "slippageBps": 50},
]


async def test_an_accepted_order_is_answered_with_its_id_and_where_to_find_it(api: Api) -> None:
    answer = await api.http.post("/api/orders/execute", json=an_order())

    order_id = answer.json()["orderId"]
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/api/orders/{order_id}"
    assert UUID(order_id).version == 7
    assert answer.json() == {
        "orderId": order_id,
        "status": "pending",
        "idempotent": False,
        "ws": f"/api/orders/execute?orderId={order_id}",
    }
    assert (await api.http.get(answer.headers["location"])).json()["orderId"] == order_id


@pytest.mark.parametrize("body", SPELLINGS)
@pytest.mark.parametrize("path", ["/api/orders/execute", "/api/order/execute", "/api/orders"])
async def test_every_spelling_in_use_is_accepted(api: Api, path: str, body: dict[str, Any]) -> None:
    answer = await api.http.post(path, json=body)

    assert answer.status_code == 201
    order = (await api.http.get(answer.headers["location"])).json()
    assert (order["type"], order["tokenIn"], order["tokenOut"]) == ("market", "SOL", "USDC")
    assert order["amount"] in body.values()
    assert order["slippageBps"] == body.get("maxSlippageBps", 50)
    assert order["wallet"] == body.get("userWallet")
    assert order["queued"] is path.endswith("/execute")


async def test_json_by_any_name_is_read(api: Api) -> None:
    content = b'{"tokenIn":"SOL","tokenOut":"USDC","amount":"1.5"}'
    for content_type in ("application/json; charset=utf-8", "application/vnd.x+json", "APPLICATION/JSON", ""):
        headers = {"content-type": content_type}
        answer = await api.http.post("/api/orders/execute", content=content, headers=headers)

        assert answer.status_code == 201


@pytest.mark.parametrize(
    ("token", "amount"),
    [("SOL", "0.000000001"), ("SOL", "18446744073.709551615"), ("USDC", "0.1"), ("BONK", "1e3")],
)
async def test_amounts_come_back_to_the_last_digit(api: Api, token: str, amount: str) -> None:
    sent = f'{{"tokenIn":"{token}","tokenOut":"JUP","amount":{amount}}}'
    answer = await api.http.post("/api/orders", content=sent, headers={"content-type": "application/json"})

    order = await api.http.get(answer.headers["location"])
    assert f'"amount":{amount.replace("1e3", "1000")},' in order.text


async def test_a_stored_order_waits_until_it_is_executed(api: Api, settings: Settings) -> None:
    order_id = (await api.http.post("/api/orders", json=an_order())).json()["orderId"]
    other_id = await api.placed()
    async with working(settings):
        await eventually(lambda: _has_status(api, other_id, "confirmed"))
        assert await _has_status(api, order_id, "pending")

        answer = await api.http.post(f"/api/orders/{order_id}/execute")
        assert answer.status_code == 202
        assert answer.headers["location"] == f"/api/orders/{order_id}"
        assert answer.json() == {
            "orderId": order_id,
            "status": "pending",
            "ws": f"/api/orders/execute?orderId={order_id}",
        }
        await eventually(lambda: _has_status(api, order_id, "confirmed"))


async def test_of_many_who_execute_an_order_at_once_one_succeeds(api: Api) -> None:
    order_id = (await api.http.post("/api/orders", json=an_order())).json()["orderId"]

    answers = await asyncio.gather(*(api.http.post(f"/api/orders/{order_id}/execute") for _ in range(20)))

    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 19
    check_problem(next(answer for answer in answers if answer.status_code == 409), 409, "not_executable")


async def test_an_order_that_was_queued_when_placed_cannot_be_executed_again(api: Api) -> None:
    order_id = await api.placed()

    check_problem(await api.http.post(f"/api/orders/{order_id}/execute"), 409, "not_executable")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/orders/{}"), ("GET", "/api/orders/{}/events"), ("POST", "/api/orders/{}/execute")],
)
async def test_an_order_that_does_not_exist_is_404_and_a_malformed_id_400(
    api: Api, method: str, path: str
) -> None:
    check_problem(await api.http.request(method, path.format(NO_ORDER)), 404, "unknown_order")
    for malformed in ("x", NO_ORDER[:-1], NO_ORDER.replace("-", ""), f"{{{NO_ORDER}}}", "%00", "%FF"):
        problem = check_problem(
            await api.http.request(method, path.format(malformed)), 400, "invalid_parameter"
        )
        assert problem["errors"][0]["parameter"] == "orderId"


async def test_an_id_in_capitals_is_the_same_id(api: Api) -> None:
    order_id = await api.placed()

    assert (await api.http.get(f"/api/orders/{order_id.upper()}")).json()["orderId"] == order_id


async def test_a_new_order_has_one_event_and_nulls_where_nothing_is_known(api: Api) -> None:
    order_id = await api.placed(amount="2.50", slippageBps=30, wallet="wallet-address")

    order = (await api.http.get(f"/api/orders/{order_id}")).json()

    placed_at = order["events"][0]["ts"]
    assert order.pop("createdAt") <= order.pop("updatedAt") <= placed_at
    assert order == {
        "orderId": order_id,
        "type": "market",
        "tokenIn": "SOL",
        "tokenOut": "USDC",
        "amount": 2.5,
        "slippageBps": 30,
        "wallet": "wallet-address",
        "scenario": None,
        "status": "pending",
        "sequence": 1,
        "queued": True,
        "attempts": 0,
        "dex": None,
        "quotedPrice": None,
        "executedPrice": None,
        "quotedAmountOut": None,
        "minAmountOut": None,
        "amountOut": None,
        "txHash": None,
        "failure": None,
        "events": [{"orderId": order_id, "sequence": 1, "status": "pending", "ts": placed_at}],
    }


async def test_a_confirmed_order_says_what_its_events_say(api: Api, settings: Settings) -> None:
    order_id = await api.placed(amount=1, slippageBps=500)
    async with working(settings):
        await eventually(lambda: _has_status(api, order_id, "confirmed"))

    order = (await api.http.get(f"/api/orders/{order_id}")).json()

    assert [event["status"] for event in order["events"]] == ["pending", *HAPPY_WAY]
    _, _, building, submitted, confirmed = order["events"]
    assert {quote["dex"] for quote in building["quotes"]} == {"raydium", "meteora"}
    assert order["dex"] == building["dex"] == submitted["dex"] == confirmed["dex"]
    assert order["quotedAmountOut"] == order["quotedPrice"] == promised(building)
    assert_the_better_is_chosen(building)
    assert order["minAmountOut"] == submitted["minAmountOut"] <= order["amountOut"]
    assert order["txHash"] == submitted["txHash"] == confirmed["txHash"]
    assert (order["executedPrice"], order["amountOut"]) == (
        confirmed["executedPrice"],
        confirmed["amountOut"],
    )
    assert (order["sequence"], order["attempts"], order["failure"]) == (5, 1, None)


async def test_a_failed_order_says_why(api: Api, settings: Settings) -> None:
    order_id = await api.placed()
    unlucky = msgspec.structs.replace(settings, mock_dex_failure_rate=1.0, max_attempts=1)
    async with working(unlucky):
        await eventually(lambda: _has_status(api, order_id, "failed"))

    order = (await api.http.get(f"/api/orders/{order_id}")).json()

    last = order["events"][-1]
    assert order["failure"] == {name: last[name] for name in ("code", "message", "retryable", "fundsMoved")}
    assert order["amountOut"] is None


async def test_events_can_be_read_from_a_sequence_on(api: Api, orders: Orders) -> None:
    order_id = await api.placed()
    await orders.append(UUID(order_id), "routing", "building")

    whole = (await api.http.get(f"/api/orders/{order_id}/events")).json()
    rest = (await api.http.get(f"/api/orders/{order_id}/events?after=2")).json()
    none = (await api.http.get(f"/api/orders/{order_id}/events?after=2147483647")).json()

    assert whole["orderId"] == order_id
    assert [event["sequence"] for event in whole["events"]] == [1, 2, 3]
    assert rest == {"orderId": order_id, "events": whole["events"][2:]}
    assert none == {"orderId": order_id, "events": []}


async def _has_status(api: Api, order_id: str, status: str) -> bool:
    return bool((await api.http.get(f"/api/orders/{order_id}")).json()["status"] == status)

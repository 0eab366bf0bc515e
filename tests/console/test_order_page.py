"""The page of an order tells all that the engine knows of it."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import httpx
import pytest
from playwright.async_api import Page, Route, expect

from tests.console.browser import NOT_FOUND, Visitor, texts
from tests.e2e.clients import Json, finished, place, slipped
from tests.support.processes import linux_only

pytestmark = [linux_only, pytest.mark.asyncio(loop_scope="session")]

NO_ORDER = "01997d4e-6c3a-7c43-9f0b-0c9d1a4a8f11"
POOL = "5Q544fKrFoe6tsEbD7S8EmxGTJYAKtTVhAW5Q5pge4j1"


async def test_a_filled_order_is_explained(visitor: Visitor, client: httpx.AsyncClient) -> None:
    order = await finished(client, await place(client, amount="1.25", wallet="explained"))
    page = await visitor.open(f"/orders/{order['orderId']}")
    building = order["events"][2]

    await expect(page.locator("h1.order-title")).to_have_text("Sell 1.25 SOL for USDC")
    await expect(page.locator(".order-figures")).to_contain_text(f"{order['amountOut']:,.6f}".rstrip("0"))
    took = await texts(page, ".step-took")
    assert all(re.fullmatch(r"[\d.]+\s(ms|s)", text) for text in took[:-1])
    await expect(page.locator(".order-route tbody tr")).to_have_count(len(building["quotes"]))
    await expect(page.locator("[data-chosen]")).to_contain_text(order["dex"].capitalize())
    await expect(page.locator(".order-route .reason")).to_have_text(
        re.compile(r"offered .+ than|offered the same")
    )
    await expect(page.locator(".scale .scale-least, .scale .scale-quoted, .scale .scale-paid")).to_have_count(
        3
    )
    await expect(page.locator(".scale-legend")).to_contain_text("Least accepted")
    await expect(page.locator(".attempt-signature code")).to_have_attribute("title", order["txHash"])
    await expect(page.locator(".order-about")).to_contain_text("wallet explained")


async def test_a_failed_order_says_in_plain_words_what_to_do(
    visitor: Visitor, client: httpx.AsyncClient
) -> None:
    order = await slipped(client, amount="400")
    assert order["failure"]["code"] == "slippage_exceeded"
    page = await visitor.open(f"/orders/{order['orderId']}")
    notice = page.locator(".order-notice")

    await expect(notice).to_contain_text("The price moved beyond the tolerance")
    await expect(notice).to_contain_text("No funds moved.")
    await expect(notice).to_contain_text("Place the order again with a wider tolerance")
    await expect(notice).to_contain_text("slippage_exceeded")
    await expect(page.locator(".order-scale .reason")).to_contain_text("it paid nothing")


async def test_raw_events_are_those_of_the_engine_digit_for_digit(
    visitor: Visitor, client: httpx.AsyncClient
) -> None:
    order = await finished(client, await place(client, amount="0.123456789"))
    raw = (await client.get(f"/api/orders/{order['orderId']}/events")).text
    page = await visitor.open(f"/orders/{order['orderId']}")
    await page.click("summary")
    await expect(page.locator(".order-raw code")).to_contain_text('"sequence": 5')
    shown = await page.locator(".order-raw code").inner_text()
    assert re.sub(r"\s", "", shown) == re.sub(r"\s", "", raw)
    assert json.loads(shown) == json.loads(raw)


async def test_the_curl_lines_are_calls_that_the_engine_takes(
    visitor: Visitor, client: httpx.AsyncClient
) -> None:
    order_id = await place(client, amount="0.000000001", tokenIn="SOL", tokenOut="BONK", wallet="o'neil")
    page = await visitor.open(f"/orders/{order_id}", permissions=["clipboard-read", "clipboard-write"])
    await expect(page.locator(".command")).to_have_count(2)
    copied = []
    for index in range(2):
        await page.locator(".command button").nth(index).click()
        command = await page.evaluate("navigator.clipboard.readText()")
        copied.append(shlex.split(command.replace("\\\n", "")))

    read, placed = copied
    assert read == ["curl", "-s", f"{visitor.engine_url}/api/orders/{order_id}"]
    assert placed[:5] == ["curl", "-s", f"{visitor.engine_url}/api/orders/execute", "-H", "Content-Type: application/json"]  # fmt: skip
    answer = await client.post(placed[2], content=placed[-1], headers={"content-type": "application/json"})
    assert answer.status_code == 201, answer.text
    again = (await client.get(answer.headers["location"])).json()
    assert (again["amount"], again["tokenOut"], again["wallet"]) == (1e-9, "BONK", "o'neil")


async def test_an_order_that_was_only_stored_can_be_executed(
    visitor: Visitor, client: httpx.AsyncClient
) -> None:
    stored = (
        await client.post("/api/orders", json={"tokenIn": "SOL", "tokenOut": "RAY", "amount": 1})
    ).json()
    page = await visitor.open(f"/orders/{stored['orderId']}")
    await page.get_by_role("button", name="Execute now").click()
    await expect(page.locator(".order-status")).to_have_text("Confirmed")
    await expect(page.locator(".order-notice")).to_be_hidden()


async def test_an_unknown_order_is_said_to_be_unknown(visitor: Visitor) -> None:
    visitor.forgive(NOT_FOUND, "status of 400")
    for order_id in (NO_ORDER, "nonsense"):
        page = await visitor.open(f"/orders/{order_id}")
        await expect(page.locator("h1", has_text="There is no such order")).to_be_visible()
        await page.get_by_role("link", name="All orders", exact=True).click()
        await expect(page.locator("#trade")).to_be_visible()


async def test_every_attempt_and_the_plan_are_shown(visitor: Visitor, client: httpx.AsyncClient) -> None:
    order = await finished(client, await place(client))
    page = await visitor.blank()
    await _answering(page, _tried_twice(order))
    await page.goto(f"{visitor.engine_url}/orders/{order['orderId']}")

    await expect(page.locator(".attempt-outcome")).to_have_text(["The transaction expired", "Landed"])
    await expect(page.locator(".attempt-signature code")).to_have_count(2)
    await expect(page.locator(".timeline .step")).to_have_count(9)
    await expect(page.locator(".order-route h2")).to_contain_text("of attempt 2")
    await expect(page.locator(".legs li")).to_have_text(
        [
            "1 SOL → 153.5 USDCRaydium CLMM 5Q54…e4j1, fee 0.04\u00a0%",
            "0.25 SOL → 38.4 USDCMeteora DLMM 5Q54…e4j1, fee 0.1\u00a0%",
        ]
    )
    await expect(page.locator(".order-route")).to_contain_text("would have paid 191.6 USDC")
    await expect(page.locator(".order-route")).to_contain_text("worth 0.3 USDC more")


async def _answering(page: Page, order: Json) -> None:
    """Instead of what the engine knows of the order."""

    async def answer(route: Route) -> None:
        await route.fulfill(json=order)

    await page.route(f"**/api/orders/{order['orderId']}", answer)


def _tried_twice(order: Json) -> Json:
    """The order as if its first attempt had expired, and the second had gone over two pools."""
    pending, routing, building, submitted, confirmed = order["events"]
    expired: dict[str, Any] = {
        "status": "retrying", "code": "transaction_expired", "message": "It expired.", "retryable": True,
        "fundsMoved": "no", "attempt": 1, "maxAttempts": 3, "nextAttemptAt": submitted["ts"],
    }  # fmt: skip
    tokens: Json = {"tokenIn": "SOL", "tokenOut": "USDC"}
    plan = {
        "legs": [
            {
                "dex": "raydium",
                "pool": POOL,
                "kind": "clmm",
                **tokens,
                "amountIn": 1,
                "amountOut": 153.5,
                "fee": 0.0004,
            },
            {
                "dex": "meteora",
                "pool": POOL,
                "kind": "dlmm",
                **tokens,
                "amountIn": 0.25,
                "amountOut": 38.4,
                "fee": 0.001,
            },
        ],
        "bestSinglePool": {"dex": "raydium", "pool": POOL, "amountOut": 191.6},
        "saving": 0.3,
    }
    again = [
        {**routing, "attempt": 2},
        {**building, "attempt": 2, "route": plan},
        {**submitted, "attempt": 2},
        confirmed,
    ]
    events = [pending, routing, building, submitted, {**submitted, **expired}, *again]
    numbered = [{**event, "sequence": number} for number, event in enumerate(events, 1)]
    return {**order, "sequence": len(events), "attempts": 2, "events": numbered}

"""A thousand orders stream by, and the page stays at hand."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from tests.console.browser import Visitor
from tests.e2e.clients import finished, place_many
from tests.support.processes import linux_only

pytestmark = [linux_only, pytest.mark.asyncio(loop_scope="session")]

ORDERS: Final = 1000
AT_ONCE: Final = 50
LONGEST: Final = 100.0  # milliseconds that a task may take
MOST_ROWS: Final = 60

BUSY: Final = """() => new Promise((resolve) => setTimeout(() => {
    const end = performance.now() + 2000;
    while (performance.now() < end);
    resolve();
}))"""


async def test_a_thousand_orders_stream_without_a_long_task(
    visitor: Visitor, browser: Browser, client: httpx.AsyncClient
) -> None:
    page = await visitor.open()
    await expect(page.locator("#line")).to_have_attribute("data-state", "live")

    async with _timed(browser, page) as busy:
        await page.evaluate(BUSY)
    assert max(busy) > LONGEST  # one that is seen, to know that they are
    async with _timed(browser, page) as tasks:
        await _stream(page, client)
    assert len(tasks) > ORDERS / AT_ONCE
    assert max(tasks) < LONGEST


async def _stream(page: Page, client: httpx.AsyncClient) -> None:
    """Orders from the first to the last step of each, which the page has shown then."""
    last = ""
    for _ in range(ORDERS // AT_ONCE):
        last = max(await place_many(client, AT_ONCE, amount="0.01"))
    newest = (await client.get("/api/orders?limit=10")).json()["orders"]
    assert last in {order["orderId"] for order in newest}
    for index, listed in enumerate(newest):
        order = await finished(client, listed["orderId"], within=60)
        row = page.locator(f'.row[aria-rowindex="{index + 2}"]')
        await expect(row).to_have_attribute("data-id", order["orderId"])
        await expect(row).to_have_attribute("data-status", order["status"])
    assert await page.locator("#rows .row").count() < MOST_ROWS


@asynccontextmanager
async def _timed(browser: Browser, page: Page) -> AsyncIterator[list[float]]:
    """Fills with what each task of the page took of the processor, in milliseconds.

    What PerformanceObserver calls a long task counts the time too in which other programs had the processor.
    """
    tasks: list[float] = []
    await browser.start_tracing(page=page, categories=["toplevel"])
    yield tasks
    events: list[dict[str, Any]] = json.loads(await browser.stop_tracing())["traceEvents"]
    main = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    tasks += [
        event["tdur"] / 1000
        for event in events
        if "RunTask" in event["name"] and "tdur" in event and (event["pid"], event["tid"]) in main
    ]

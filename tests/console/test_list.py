"""The list shows what was asked for, live, and keeps still for whoever reads."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.async_api import Locator, Page, expect

from tests.console.browser import Visitor
from tests.e2e.clients import finished, place, place_many
from tests.support.processes import linux_only

pytestmark = [linux_only, pytest.mark.asyncio(loop_scope="session")]


async def test_the_list_is_narrowed_to_a_wallet_and_a_status(
    visitor: Visitor, client: httpx.AsyncClient
) -> None:
    ours = await place(client, wallet="narrow-1")
    await place(client, wallet="narrow-2")
    page = await visitor.open()
    await page.fill("#filter-wallet", "narrow-1")
    await expect(_rows(page)).to_have_count(1)
    await expect(_row(page, ours)).to_be_visible()

    newer = await place(client, wallet="narrow-1")
    await place(client, wallet="narrow-2")
    await expect(_row(page, newer)).to_be_visible()
    await finished(client, ours)
    await page.select_option("#filter-status", "confirmed")
    await expect(_row(page, newer)).to_have_attribute("data-status", "confirmed")  # as soon as it is
    await expect(_rows(page)).to_have_count(2)

    await page.reload()  # the filter is in the address, to be shared
    await expect(_rows(page)).to_have_count(2)
    assert parse_qs(urlsplit(page.url).query) == {"status": ["confirmed"], "wallet": ["narrow-1"]}
    await page.select_option("#filter-status", "failed")
    await expect(page.locator("#list-end")).to_have_text("No order matches the filter.")


async def test_older_orders_come_as_one_scrolls(visitor: Visitor, client: httpx.AsyncClient) -> None:
    ids = [await place(client, wallet="scrolled")]
    ids += await place_many(client, 129, wallet="scrolled", amount="0.01")
    page = await visitor.open("/?wallet=scrolled")
    await expect(_row(page, max(ids))).to_be_visible()
    await expect(_row(page, min(ids))).to_have_count(0)
    async with asyncio.timeout(30):
        while not await _row(page, min(ids)).count():
            await page.mouse.wheel(0, 900)
    await expect(_row(page, min(ids))).to_be_visible()
    await expect(page.locator("#table")).to_have_attribute("aria-rowcount", str(len(ids) + 1))


async def test_what_is_read_stays_where_it_is_when_new_orders_come(
    visitor: Visitor, client: httpx.AsyncClient
) -> None:
    await place_many(client, 60, wallet="still", amount="0.01")
    page = await visitor.open("/?wallet=still")
    await expect(_rows(page).first).to_be_visible()
    await page.mouse.wheel(0, 1200)
    await expect(page.locator(".row[aria-rowindex='30']")).to_be_visible()
    read = await page.locator(".row[aria-rowindex='30']").get_attribute("data-id")
    assert read is not None
    before = await _row(page, read).bounding_box()

    newest = max(await place_many(client, 5, wallet="still", amount="0.01"))
    await expect(page.locator("#newer")).to_have_text("5 newer")
    await expect(_row(page, read)).to_have_attribute("aria-rowindex", "35")
    after = await _row(page, read).bounding_box()
    assert before is not None
    assert after is not None
    assert abs(before["y"] - after["y"]) < 2
    await page.click("#newer")
    await expect(_row(page, newest)).to_be_in_viewport()
    await expect(page.locator("#newer")).to_be_hidden()


async def test_an_age_is_in_words_and_exact_where_one_points(
    visitor: Visitor, client: httpx.AsyncClient
) -> None:
    order = await finished(client, await place(client))
    page = await visitor.open()
    age = _row(page, order["orderId"]).locator("time")
    await expect(age).to_have_text(re.compile(r"^(now|\d+\s(s|min))$"))
    await expect(age).to_have_attribute("datetime", order["createdAt"])
    await expect(age).to_have_attribute("title", re.compile(r"^\d+ \w+ \d{4}, \d\d:\d\d:\d\d\.\d{3} "))


async def test_the_pulse_and_the_markets_are_those_of_the_engine(
    visitor: Visitor, client: httpx.AsyncClient
) -> None:
    await finished(client, await place(client, amount="0.5"))
    page = await visitor.open()
    stats = (await client.get("/api/stats")).json()
    await expect(page.locator("#pulse-success-note")).to_have_text(
        re.compile(r"^[\d,]+ filled, [\d,]+ failed$")
    )
    await expect(page.locator("#pulse-p99")).to_have_text(re.compile(r"^p50; p99 [\d.]+\s(ms|s)$"))
    await expect(page.locator("#pulse-venues .venue")).to_have_count(len(stats["venues"]))
    await expect(page.locator('.venue[data-status="up"]')).not_to_have_count(0)
    await expect(page.locator(".bar-accepted")).to_have_attribute("d", re.compile("M"))
    await expect(page.locator(".market")).to_have_count(5)
    await expect(page.locator(".market", has_text="SOL").locator(".spark-fill")).not_to_have_count(0)
    await page.locator(".market", has_text="BONK").click()
    await expect(page.locator("#trade-in")).to_have_value("BONK")


async def test_quotes_of_both_venues_stand_side_by_side_and_are_refreshed(visitor: Visitor) -> None:
    page = await visitor.open()
    await expect(page.locator(".quote")).to_have_count(2)
    await expect(page.locator('.quote[data-state="best"] .quote-badge')).to_contain_text("Best")
    assert [await quote.get_attribute("data-dex") for quote in await page.locator(".quote").all()] == [
        "meteora",
        "raydium",
    ]
    for line in ("Price", "Fee", "Impact", "Minimum"):
        await expect(page.locator(".quote").first).to_contain_text(line)
    # A pool of Raydium's in which somebody trades at nearly every tick; a bin is not left for so little.
    paid = page.locator('.quote[data-dex="raydium"] .quote-out')
    await expect(paid).not_to_have_text(await paid.inner_text())


async def test_venues_that_do_not_quote_say_why(visitor: Visitor) -> None:
    page = await visitor.blank()
    refused = [
        {"dex": dex, "code": "unfillable_amount", "message": "too much"} for dex in ("raydium", "meteora")
    ]
    nothing = {"best": None, "quotes": [], "unavailable": refused}
    await page.route("**/api/quotes?*", lambda route: route.fulfill(json=nothing))
    await page.goto(visitor.engine_url)
    await expect(page.locator('.quote[data-state="away"]')).to_have_count(2)
    await expect(page.locator(".quote").first).to_contain_text("No quotetoo much")
    await expect(page.locator("#trade-estimate")).to_have_text("–")


async def test_a_refusal_of_the_quotes_is_told(visitor: Visitor) -> None:
    visitor.forgive("status of 400")
    page = await visitor.open()
    await expect(page.locator(".quote")).to_have_count(2)
    await page.fill("#trade-amount", "0.0000000001")
    await expect(page.locator(".quotes-note")).to_contain_text("decimal")


async def test_the_ledger_of_the_page_does_not_grow_for_ever(
    visitor: Visitor, client: httpx.AsyncClient
) -> None:
    await place(client)
    page = await visitor.open()
    heard, grown, left, is_known, after = await page.evaluate(GROWING)
    assert heard == 3100
    assert grown > 3000
    assert left <= 100
    assert not is_known
    assert after > 0


# A ledger whose stream is the test: what it holds before and after it is trimmed, and from where it goes on.
GROWING = """async () => {
    const {Ledger} = await import('/console/lib/ledger.js');
    let follower;
    const ledger = new Ledger({follow: (given) => { follower = given; return () => {}; }});
    await ledger.load();
    const {after} = follower.request();
    let heard = 0;
    ledger.addEventListener('event', () => heard++);
    const order = {type: 'market', tokenIn: 'SOL', tokenOut: 'USDC', amount: 1, slippageBps: 50, wallet: null};
    const id = (number) => `ffffffff-0000-7000-8000-${String(number).padStart(12, '0')}`;
    const changed = () => new Promise((resolve) => ledger.addEventListener('change', resolve, {once: true}));
    for (let number = 1; number <= 3100; number++) {
        const event = {position: after + number, orderId: id(number), sequence: 1, status: 'pending', timestamp: '2026-11-20T12:00:00Z', data: {}, order};
        follower.onEvent(event);
        follower.onEvent(event); // twice is once
    }
    await changed();
    const grown = ledger.length;
    ledger.trim();
    await changed();
    return [heard, grown, ledger.length, Boolean(ledger.find(id(1))), follower.request().after];
}"""


def _rows(page: Page) -> Locator:
    return page.locator("#rows .row")


def _row(page: Page, order_id: str) -> Locator:
    return page.locator(f'.row[data-id="{order_id}"]')

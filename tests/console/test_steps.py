"""Whoever looks at an order sees every step of it, once and in order, whatever becomes of the page and the network."""

from __future__ import annotations

import signal

import httpx
import pytest
from playwright.async_api import Page, expect

from tests.console.browser import NETWORK, Visitor, texts
from tests.console.conftest import Engine
from tests.e2e.clients import FLAT, finished, get, place, the_rest, watching
from tests.support.processes import linux_only
from tests.support.wire import Flow, Wire

pytestmark = [linux_only, pytest.mark.asyncio(loop_scope="session")]

FILLED = ["Pending", "Routing", "Building", "Submitted", "Confirmed"]
PLACED = "#placed .placed-step > span:nth-of-type(1)"
TIMELINE = ".timeline .step-name"
TRIES = 5  # of a busy machine to catch an order under way
# The statuses that each row of the list has had.
RECORDING = """() => {
    window.seen = {};
    const look = () => document.querySelectorAll('#rows .row').forEach(({dataset}) => {
        const statuses = seen[dataset.id] ??= [];
        if (statuses.at(-1) !== dataset.status) {
            statuses.push(dataset.status);
        }
    });
    new MutationObserver(look).observe(document.getElementById('rows'),
        {subtree: true, childList: true, attributeFilter: ['data-status']});
}"""


async def test_a_placed_order_is_listed_at_once_and_its_steps_light_up(
    visitor: Visitor, client: httpx.AsyncClient
) -> None:
    page = await visitor.open()
    await page.evaluate(RECORDING)
    order_id = await _placed_here(page, "0.75")
    row = page.locator(f'.row[data-id="{order_id}"]')

    await expect(row).to_contain_text("0.75 SOL")
    await expect(row).to_have_attribute("data-status", "confirmed")
    await expect(row.locator('.track-step[data-state="filled"]')).to_have_count(len(FILLED))
    assert await texts(page, PLACED) == FILLED == await _steps(client, order_id)
    lit = await page.evaluate("(id) => seen[id]", order_id)
    assert len(lit) > 1
    assert [step.lower() for step in FILLED if step.lower() in lit] == lit
    took = await texts(page, "#placed .placed-took")
    assert took[0] == ""
    assert all(text.startswith("+") for text in took[1:])
    await expect(page.locator("#placed")).to_contain_text("Received")
    await expect(page.locator("#say")).to_contain_text("Order confirmed. Received")


async def test_a_reload_in_the_middle_loses_no_step(
    visitor: Visitor, client: httpx.AsyncClient, engine: Engine
) -> None:
    for _ in range(TRIES):
        order_id = await place(client)
        async with watching(client, order_id) as socket:
            for _ in FILLED[:2]:
                await socket.recv()
        engine.worker.send(signal.SIGSTOP)
        try:
            page = await visitor.open(f"/orders/{order_id}")
            await expect(page.locator(TIMELINE).nth(1)).to_have_text("Routing")
            await page.reload()
            await expect(page.locator(TIMELINE).nth(1)).to_have_text("Routing")
            is_under_way = (await texts(page, TIMELINE))[-1] != FILLED[-1]
        finally:
            engine.worker.send(signal.SIGCONT)
        if is_under_way:
            break
    else:
        pytest.fail("every order was filled before it was looked at")

    await expect(page.locator(".order-status")).to_have_text("Confirmed")
    assert await texts(page, TIMELINE) == await _steps(client, order_id)


@pytest.mark.parametrize("flow", [Flow.CUT, Flow.BLACKHOLE])
async def test_a_cut_is_resumed_without_a_missed_or_doubled_step(
    visitor: Visitor, client: httpx.AsyncClient, flow: Flow
) -> None:
    visitor.forgive(*NETWORK)
    async with _wire_to(client) as wire:
        page = await visitor.open(url=f"http://127.0.0.1:{wire.port}")
        order_id = await _placed_here(page, "0.5")
        await expect(page.locator(PLACED).nth(1)).to_have_text("Routing")

        wire.turn(flow)
        others = [await place(client, amount="0.25") for _ in range(3)]
        await finished(client, order_id)
        # A line that has gone silent is found dead by its missing heartbeats.
        await expect(page.locator("#line")).to_have_attribute("data-state", "away")
        wire.mend()

        await expect(page.locator(PLACED).last).to_have_text("Confirmed")
        assert await texts(page, PLACED) == await _steps(client, order_id)
        for other in others:
            await expect(page.locator(f'.row[data-id="{other}"]')).to_have_attribute(
                "data-status", "confirmed"
            )
        await expect(page.locator("#line")).to_have_attribute("data-state", "live")


async def test_the_page_of_an_order_survives_a_cut(visitor: Visitor, client: httpx.AsyncClient) -> None:
    visitor.forgive(*NETWORK)
    async with _wire_to(client) as wire:
        order_id = await place(client)
        page = await visitor.open(f"/orders/{order_id}", url=f"http://127.0.0.1:{wire.port}")
        await expect(page.locator(TIMELINE).first).to_have_text("Pending")
        wire.cut()
        await finished(client, order_id)
        wire.mend()

        await expect(page.locator(".order-status")).to_have_text("Confirmed")
        assert await texts(page, TIMELINE) == FILLED


async def test_a_gap_is_closed_by_a_new_snapshot(visitor: Visitor, client: httpx.AsyncClient) -> None:
    """The engine says that the cursor is too old: what came in between is read anew."""
    page = await visitor.blank()
    await page.add_init_script(SWALLOWING)
    await page.goto(visitor.engine_url)
    await expect(page.locator("#line")).to_have_attribute("data-state", "live")
    await page.evaluate("swallow = true")
    order_id = await place(client, amount="0.125")
    async with watching(client, order_id, FLAT) as socket:
        await the_rest(socket)
    row = page.locator(f'.row[data-id="{order_id}"]')
    await expect(row).to_have_count(0)

    await page.evaluate("swallow = false; gap()")
    await expect(row).to_have_attribute("data-status", "confirmed")
    later = await place(client, amount="0.0625")
    await expect(page.locator(f'.row[data-id="{later}"]')).to_have_attribute("data-status", "confirmed")


# A WebSocket that keeps events from the page, and then tells it that there is a gap.
SWALLOWING = """
window.swallow = false;
window.WebSocket = class extends WebSocket {
    set onmessage(listener) {
        window.gap = () => listener({data: JSON.stringify({type: 'gap', id: this.last, after: 1, oldest: 2})});
        super.onmessage = (message) => {
            const {id, type} = JSON.parse(message.data);
            this.last = id ?? this.last;
            if (!(swallow && type === 'event')) {
                listener(message);
            }
        };
    }
};
"""


async def _placed_here(page: Page, amount: str) -> str:
    """The id of an order that was placed by hand."""
    await expect(page.locator("#trade-in")).to_have_value("SOL")
    await page.fill("#trade-amount", amount)
    await page.click("#trade-place")
    await expect(page.locator("#placed")).to_be_visible()
    address = await page.locator("#placed a").get_attribute("href")
    assert address is not None
    return address.removeprefix("/orders/")


async def _steps(client: httpx.AsyncClient, order_id: str) -> list[str]:
    """As the ledger has them."""
    order = await get(client, order_id)
    return [event["status"].capitalize() for event in order["events"]]


def _wire_to(client: httpx.AsyncClient) -> Wire:
    return Wire(client.base_url.host, client.base_url.port or 80)

"""No view breaks a rule of accessibility, in light and dark, and none is wider than a phone."""

from __future__ import annotations

from typing import Final

import httpx
import pytest
from playwright.async_api import Page, expect

from tests.clients.conftest import missing
from tests.console.browser import NOT_FOUND, PHONE, Visitor
from tests.e2e.clients import finished, place, slipped
from tests.e2e.programs import ROOT
from tests.support.processes import linux_only

pytestmark = [linux_only, pytest.mark.asyncio(loop_scope="session")]

AXE: Final = ROOT / "node_modules/axe-core/axe.min.js"
NO_ORDER: Final = "01997d4e-6c3a-7c43-9f0b-0c9d1a4a8f11"
THEMES: Final = ("light", "dark")

RUN: Final = """async () => {
    const {violations} = await axe.run(document, {resultTypes: ['violations']});
    return violations.map(({id, help, nodes}) => `${id}: ${help}: ${nodes.map(({target}) => target).join(' ')}`);
}"""


@pytest.mark.parametrize("theme", THEMES)
async def test_no_view_breaks_a_rule(visitor: Visitor, client: httpx.AsyncClient, theme: str) -> None:
    if not AXE.exists():
        missing("axe-core is not installed: make node_modules")
    visitor.forgive(NOT_FOUND)
    filled = (await finished(client, await place(client, wallet="desk-7")))["orderId"]
    failed = (await slipped(client, amount="400"))["orderId"]
    stored = (
        await client.post("/api/orders", json={"tokenIn": "SOL", "tokenOut": "JUP", "amount": 1})
    ).json()

    page = await visitor.blank(color_scheme=theme, reduced_motion="reduce", bypass_csp=True)
    await page.add_init_script(path=AXE)
    for path, shown in {
        "/": "#quotes .quote",
        "/?status=retrying": "#list-end:not(:empty)",
        f"/orders/{filled}": ".order-scale",
        f"/orders/{failed}": ".order-notice",
        f"/orders/{stored['orderId']}": ".order-notice",
        f"/orders/{NO_ORDER}": ".order-message",
    }.items():
        await page.goto(f"{visitor.engine_url}{path}")
        await expect(page.locator(shown).first).to_be_visible()
        if await page.locator("summary").count():
            await page.click("summary")
            await expect(page.locator(".order-raw code")).to_contain_text("sequence")
        assert await page.evaluate(RUN) == [], path
        await _fits_a_phone(page)


async def _fits_a_phone(page: Page) -> None:
    before = page.viewport_size
    assert before is not None
    await page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    wider = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider <= 0
    assert await page.evaluate(RUN) == []
    await page.set_viewport_size(before)


@pytest.mark.parametrize(("system", "other"), [THEMES, THEMES[::-1]])
async def test_the_colours_follow_the_system_until_somebody_chooses(
    visitor: Visitor, system: str, other: str
) -> None:
    page = await visitor.open(color_scheme=system)
    root = page.locator("html")
    await expect(root).to_have_attribute("data-theme", system)
    await page.click("#theme")
    await expect(root).to_have_attribute("data-theme", other)
    await page.reload()
    await expect(root).to_have_attribute("data-theme", other)


async def test_nothing_moves_for_whoever_does_not_want_it(
    visitor: Visitor, client: httpx.AsyncClient
) -> None:
    order = await finished(client, await place(client))
    under_way = {**order, "status": "submitted", "events": order["events"][:4]}
    for wish, moves in (("no-preference", True), ("reduce", False)):
        page = await visitor.blank(reduced_motion=wish)
        await page.route("**/api/orders/*", lambda route: route.fulfill(json=under_way))
        await page.goto(f"{visitor.engine_url}/orders/{order['orderId']}")
        glyph = page.locator(".order-status .glyph.is-submitted")
        await expect(glyph).to_be_visible()
        name = await glyph.evaluate("(node) => getComputedStyle(node).animationName")
        assert (name != "none") == moves

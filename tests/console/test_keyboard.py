"""Everything can be done without a mouse, and it is always to be seen where one is."""

from __future__ import annotations

import httpx
import pytest
from playwright.async_api import Page, expect

from tests.console.browser import Visitor
from tests.e2e.clients import finished, place
from tests.support.processes import linux_only

pytestmark = [linux_only, pytest.mark.asyncio(loop_scope="session")]

FOCUS = """() => {
    const style = (node, pseudo) => getComputedStyle(node, pseudo);
    const node = document.activeElement;
    const has = (pseudo) => style(node, pseudo).outlineStyle === 'solid' && parseFloat(style(node, pseudo).outlineWidth) >= 2;
    return {name: node.id || node.className || node.textContent, isSeen: has() || has('::after')};
}"""


async def test_an_order_is_placed_and_looked_at_by_keyboard_alone(
    visitor: Visitor, client: httpx.AsyncClient
) -> None:
    await finished(client, await place(client))
    page = await visitor.open()
    await expect(page.locator("#trade-in")).to_have_value("SOL")

    assert await _tab_to(page, "skip")
    await page.keyboard.press("Enter")
    await _tab_to(page, "trade-amount")
    await page.keyboard.press("Control+A")
    await page.keyboard.type("0.33")
    await _tab_to(page, "trade-in")
    await page.keyboard.press("j")
    await expect(page.locator("#trade-in")).to_have_value("JUP")
    await _tab_to(page, "trade-swap")
    await page.keyboard.press("Enter")
    await expect(page.locator("#trade-out")).to_have_value("JUP")
    await _tab_to(page, "trade-place")
    await page.keyboard.press("Enter")
    await expect(page.locator("#placed .placed-step").last).to_contain_text("Confirmed")
    await expect(page.locator("#trade-place")).to_be_focused()

    await _tab_to(page, "row-link")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowUp")
    assert (await page.evaluate(FOCUS))["isSeen"]
    await page.keyboard.press("Enter")
    await expect(page.locator("h1.order-title")).to_have_text("Sell 0.33 USDC for JUP")
    await _tab_to(page, "back")
    await page.keyboard.press("Enter")
    await expect(page.locator("#trade")).to_be_visible()
    await page.go_back()
    await expect(page.locator("h1.order-title")).to_be_visible()


async def test_the_focus_stays_with_an_order_that_is_pushed_down(
    visitor: Visitor, client: httpx.AsyncClient
) -> None:
    order_id = await place(client)
    page = await visitor.open()
    link = page.locator(f'.row[data-id="{order_id}"] .row-link')
    await link.focus()
    for _ in range(5):
        newer = await place(client)
    await expect(page.locator(f'.row[data-id="{newer}"]')).to_be_visible()
    await expect(link).to_be_focused()


async def test_what_is_wrong_with_an_order_is_said_and_the_field_is_at_hand(visitor: Visitor) -> None:
    page = await visitor.open()
    await expect(page.locator("#trade-in")).to_have_value("SOL")
    for wrong in ("", "0", "1,5", "-1", "1e3"):
        await page.fill("#trade-amount", wrong)
        await page.press("#trade-amount", "Enter")
        await expect(page.locator("#trade-problem")).to_contain_text("Enter an amount")
        await expect(page.locator("#trade-amount")).to_be_focused()
        await expect(page.locator("#trade-amount")).to_have_attribute("aria-invalid", "true")
    await page.fill("#trade-amount", "1")
    await page.fill("#trade-bps", "5001")
    await page.press("#trade-bps", "Enter")
    await expect(page.locator("#trade-problem")).to_contain_text("between 1 and 5000")
    await expect(page.locator("#trade-bps")).to_be_focused()


async def _tab_to(page: Page, name: str) -> bool:
    """Presses Tab until an element with this id or class has the focus; each on the way is seen to have it."""
    for _ in range(80):
        await page.keyboard.press("Tab")
        focus = await page.evaluate(FOCUS)
        assert focus["isSeen"], focus
        if focus["name"] == name:
            return True
    raise AssertionError(f"Tab does not lead to {name}")

"""However long a number, a name or a message is, it stays in its box: no page scrolls sideways, on no phone."""

from __future__ import annotations

from typing import Any, Final

import httpx
import pytest
from playwright.async_api import Page, Route, expect

from tests.console.browser import NOT_FOUND, Visitor
from tests.e2e.clients import Json, finished, get, place
from tests.support.processes import linux_only

pytestmark = [linux_only, pytest.mark.asyncio(loop_scope="session")]

WIDTHS: Final = (
    320,
    360,
    1000,
)  # the narrowest phone, a usual one, and two columns that are hardly wide enough
HEIGHT: Final = 2600  # all of the first page is in sight, and so are rows of the list
LARGEST: Final = 2**64 / 10**5  # BONK
SMALLEST: Final = 1.234e-9
LONG: Final = "W" * 300
NAMES: Final = ("tokenIn", "tokenOut", "wallet", "code", "message")
COUNTED: Final = ("sequence", "position", "asOf", "attempt", "attempts", "maxAttempts")

USUAL: Final = (
    ("BONK", "USDC", "1500000"),
    ("BONK", "USDC", "750000"),
    ("SOL", "USDC", "12.5"),
    ("USDC", "SOL", "1234.56"),
)
CUT_SHORT: Final = """(ids) => ['.quote-out', '.quote dd', ...ids.map((id) => `.row[data-id="${id}"] :is(.sold, .bought)`)]
    .flatMap((selector) => [...document.querySelectorAll(selector)])
    .filter((text) => text.scrollWidth > text.clientWidth).map((text) => text.textContent)"""

STICKS_OUT: Final = """() => [document.documentElement, ...document.querySelectorAll('.card, .figure, .quote, .market')]
    .filter((box) => box.scrollWidth > box.clientWidth)
    .map((box) => `${box.localName}.${box.className} by ${box.scrollWidth - box.clientWidth}`)"""


async def test_nothing_that_an_order_says_is_wider_than_its_box(
    visitor: Visitor, client: httpx.AsyncClient
) -> None:
    filled = await finished(client, await place(client, wallet="wide"))
    stored = await client.post(
        "/api/orders", json={"tokenIn": "SOL", "tokenOut": "JUP", "amount": 1, "wallet": "wide"}
    )
    page = await visitor.blank()
    for name, order, number, shown in (
        ("filled", filled, LARGEST, ".order-scale"),
        ("tried again", _with_one_venue_at_the_second_attempt(filled), SMALLEST, ".order-attempts"),
        ("failed", _for_an_unknown_reason(filled), LARGEST, ".order-notice"),
        ("stored", await get(client, stored.json()["orderId"]), LARGEST, ".order-notice"),
    ):
        await page.unroute_all()
        await page.route("**/api/orders/*", _answer(_stretched(order, number)))
        await page.goto(f"{visitor.engine_url}/orders/{order['orderId']}")
        await expect(page.locator(shown)).to_be_visible()
        await _fits(page, name)


async def test_nothing_on_the_first_page_is_wider_than_its_box(
    visitor: Visitor, client: httpx.AsyncClient
) -> None:
    await finished(client, await place(client, wallet="wide"))
    page = await visitor.blank(size=(WIDTHS[0], HEIGHT))
    await page.route("**/api/**", _stretch)
    await page.goto(visitor.engine_url)
    for shown in ("#pulse-flight:not(:text-is('–'))", "#quotes .quote", ".market-price", ".row[data-id]"):
        await expect(page.locator(shown).first).to_be_visible()
    await _fits(page, "first page")
    await page.unroute_all(behavior="ignoreErrors")


@pytest.mark.parametrize("width", [360, 1120])
async def test_usual_amounts_are_shown_whole_and_with_their_tokens(
    visitor: Visitor, client: httpx.AsyncClient, width: int
) -> None:
    ids = [
        await place(client, tokenIn=sold, tokenOut=bought, amount=amount) for sold, bought, amount in USUAL
    ]
    for order_id in ids:
        await finished(client, order_id)
    page = await visitor.blank(size=(width, HEIGHT))
    await page.goto(visitor.engine_url)
    for order_id in ids:
        await expect(page.locator(f'.row[data-id="{order_id}"][data-status="confirmed"]')).to_be_visible()
    await expect(page.locator(".quote dd")).to_have_count(8)
    assert await page.evaluate(CUT_SHORT, ids) == []


async def test_an_id_of_any_length_is_said_to_be_unknown_in_the_width_of_a_phone(visitor: Visitor) -> None:
    visitor.forgive(NOT_FOUND, "status of 400")
    page = await visitor.open(f"/orders/{LONG}")
    await expect(page.locator("h1", has_text="There is no such order")).to_be_visible()
    await _fits(page, "no such order")


async def _fits(page: Page, name: str) -> None:
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": HEIGHT})
        assert await page.evaluate(STICKS_OUT) == [], f"{name}, {width} pixels wide"


def _answer(body: Json) -> Any:
    async def answer(route: Route) -> None:
        await route.fulfill(json=body)

    return answer


async def _stretch(route: Route) -> None:
    answer = await route.fetch()
    await route.fulfill(response=answer, json=_stretched(await answer.json(), LARGEST))


def _stretched(value: Any, number: float) -> Any:
    """The same with this number wherever one is shown, and with names and messages as long as none should be."""
    match value:
        case dict():
            return {key: _stretched_member(key, member, number) for key, member in value.items()}
        case list():
            return [_stretched(member, number) for member in value]
        case _:
            return value


def _stretched_member(key: str, member: Any, number: float) -> Any:
    match member:
        case bool():
            return member
        case int() | float():
            return member if key in COUNTED else number
        case str():
            return LONG if key in NAMES else member
        case _:
            return _stretched(member, number)


def _with_one_venue_at_the_second_attempt(order: Json) -> Json:
    pending, routing, building, submitted, confirmed = order["events"]
    expired = {"status": "retrying", "code": "", "message": "", "attempt": 1, "maxAttempts": 3}
    chosen = [quote for quote in building["quotes"] if quote["dex"] == building["dex"]]
    refused = [{"dex": "another", "code": "", "message": ""}]
    again = [
        {**routing, "attempt": 2},
        {**building, "attempt": 2, "quotes": chosen, "unavailable": refused},
        {**submitted, "attempt": 2},
    ]
    events = [pending, routing, building, submitted, {**submitted, **expired}, *again, confirmed]
    return {**order, "attempts": 2, **_numbered(events)}


def _for_an_unknown_reason(order: Json) -> Json:
    failure = {"code": "", "message": "", "retryable": False, "fundsMoved": "no"}
    events = [*order["events"][:4], {**order["events"][3], "status": "failed", **failure}]
    return {**order, "status": "failed", "failure": failure, **_numbered(events)}


def _numbered(events: list[Json]) -> Json:
    numbered = [{**event, "sequence": number} for number, event in enumerate(events, 1)]
    return {"sequence": len(events), "events": numbered}

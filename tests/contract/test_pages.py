"""Both documents are shown, beside one another, and nothing on their pages comes from another host."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from tests.clients.conftest import missing
from tests.contract.asyncapi import document
from tests.contract.browser import Page, browsing, chromium
from tests.e2e.clients import client_of, health_with_redis, until
from tests.support.processes import linux_only

pytestmark = linux_only

REST: Final = (
    "Order engine",
    "/api/orders/execute",
    "Place an order",
    "/api/orders/user/{wallet}",
    "OrderRequest",
)
WEBSOCKET: Final = (
    "Order engine, live status",
    "Every step of an order over WebSocket",
    "1012",
    "/api/orders/execute/ws",
    "/ws/orders/{orderId}",
    '"minAmountOut": 190.761609',
)


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    program = chromium()
    if program is None:
        missing("Chromium is not installed: apt-get install chromium")
    async with browsing(program, tmp_path) as page:
        yield page


async def test_both_pages_show_their_document_and_ask_no_other_host(engine_url: str, page: Page) -> None:
    await page.open(f"{engine_url}/docs")
    await page.shows("REST", "WebSocket", *REST)
    await page.value("document.querySelector('nav a:not([aria-current])').click()")
    await page.shows("REST", "WebSocket", *WEBSOCKET, *_titles())
    assert await page.value("location.pathname") == "/docs/asyncapi"
    await page.value("document.querySelector('nav a:not([aria-current])').click()")
    await page.shows(*REST)

    own = urlsplit(engine_url).netloc
    asked = [urlsplit(url) for url in page.requests]
    assert {part.path for part in asked} >= {"/docs/openapi.json", "/docs/asyncapi.json"}
    assert {part.netloc for part in asked if part.scheme not in {"data", "blob"}} == {own}
    assert page.complaints == []


async def test_a_call_of_the_page_is_made_to_the_engine(engine_url: str, page: Page) -> None:
    async with client_of(engine_url) as client:
        await health_with_redis(client)
    await page.open(f"{engine_url}/docs#/engine/health")
    await page.shows("Say how the engine is", "Cancel")  # tried out already
    await page.value("document.querySelector('button.execute').click()")
    await until(lambda: f"{engine_url}/health" in page.requests)
    await page.shows("Server response", '"status": "ok"')


def _titles() -> set[str]:
    return {message["title"] for message in document()["components"]["messages"].values()}

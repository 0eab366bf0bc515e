"""Pictures of every view, light and dark, on a desktop and a phone, of an engine at work: what `make screenshots` calls."""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import httpx
from playwright.async_api import Browser, Page, ViewportSize, expect

from app.storage.migrations import migrate
from tests.console.browser import Visitor, browsing
from tests.contract.browser import chromium
from tests.e2e.clients import client_of, place
from tests.e2e.premises import Site
from tests.e2e.programs import launching
from tests.support.processes import eventually
from tests.support.servers import fresh_database, own_redis_database, session_servers

MARKET: Final = {
    "MOCK_DEX_QUOTE_DELAY_MS": "200",
    "MOCK_DEX_EXECUTION_DELAY_MS": "1500",
    "MOCK_DEX_FAILURE_RATE": "0.12",
}
SECONDS: Final = 180  # of orders before the first picture
PAUSE: Final = 0.6  # seconds between two orders, on average
ORDERS: Final = (
    ("SOL", "USDC", "1.25"), ("SOL", "USDC", "12.5"), ("SOL", "USDC", "0.4"), ("USDC", "SOL", "250"),
    ("JUP", "USDC", "840.5"), ("RAY", "USDC", "33"), ("BONK", "USDC", "1500000"), ("SOL", "USDT", "2"),
    ("USDT", "USDC", "500"), ("RAY", "SOL", "120"),
)  # fmt: skip
WALLETS: Final = (None, None, "desk-emea", "desk-apac", "treasury")
SIZES: Final = {"desktop": ((1504, 660), 1), "phone": ((360, 680), 2)}
HIGHER: Final[ViewportSize] = {"width": 1120, "height": 860}
MOST_BYTES: Final = 160_000


def main(folder: Path) -> None:
    program = chromium()
    if program is None:
        sys.exit("Chromium is not installed: apt-get install chromium")
    folder.mkdir(parents=True, exist_ok=True)
    with _engine() as url:
        asyncio.run(_take(url, folder, program))
    for picture in sorted(folder.glob("*.png")):
        assert picture.stat().st_size <= MOST_BYTES, f"{picture} has {picture.stat().st_size} bytes"


async def _take(url: str, folder: Path, program: str) -> None:
    async with browsing(program) as browser, client_of(url) as client:
        trading = asyncio.create_task(_trade(client))
        await asyncio.sleep(SECONDS)
        for theme in ("light", "dark"):
            for device in SIZES:
                await _take_all(browser, client, folder, theme, device)
        trading.cancel()


@contextmanager
def _engine() -> Iterator[str]:
    """An engine with servers of its own, gone afterwards."""
    with (
        session_servers() as servers,
        fresh_database(servers.database_url) as database_url,
        tempfile.TemporaryDirectory() as folder,
        launching(Path(folder), **MARKET) as launcher,
        closing(Site(launcher, database_url, own_redis_database(servers.redis_url))) as site,
    ):
        migrate(database_url)
        url = site.start_api(API_MAX_ORDERS_PER_MIN="0").url
        site.start_worker()
        eventually(lambda: httpx.get(f"{url}/readyz", timeout=30, trust_env=False).is_success)
        yield url


async def _trade(client: httpx.AsyncClient) -> None:
    """Orders as they might come in, the same in every run."""
    dice = random.Random(7)
    while True:
        token_in, token_out, amount = dice.choice(ORDERS)
        wallet = dice.choice(WALLETS)
        await place(
            client, tokenIn=token_in, tokenOut=token_out, amount=amount,
            slippageBps=dice.choice((50, 50, 50, 100, 1 if dice.random() < 0.3 else 50)),
            **({"wallet": wallet} if wallet else {}),
        )  # fmt: skip
        await asyncio.sleep(dice.expovariate(1 / PAUSE))


async def _take_all(
    browser: Browser, client: httpx.AsyncClient, folder: Path, theme: str, device: str
) -> None:
    size, scale = SIZES[device]
    visitor = Visitor(browser, str(client.base_url).rstrip("/"))
    page = await visitor.open(size=size, color_scheme=theme, device_scale_factor=scale)
    await expect(page.locator(".spark-fill").first).to_be_attached()
    await expect(page.locator(".quote")).to_have_count(2)
    await page.screenshot(path=folder / f"console-{device}-{theme}.png")
    if device == "desktop":
        await page.set_viewport_size(HIGHER)
    await page.click("#trade-place")
    await page.mouse.move(0, 0)
    await expect(page.locator("#placed .placed-step")).to_have_count(4)
    await page.screenshot(path=folder / f"placing-{device}-{theme}.png")
    if device == "phone":
        await page.locator("#list-title").evaluate("(title) => title.scrollIntoView()")
        await page.wait_for_timeout(300)
        await page.screenshot(path=folder / f"orders-{device}-{theme}.png")
    for name, order_id in (await _orders(client)).items():
        await _take_order(
            page, f"{visitor.engine_url}/orders/{order_id}", folder / f"{name}-{device}-{theme}.png"
        )
    await visitor.close()
    visitor.check()


async def _orders(client: httpx.AsyncClient) -> dict[str, str]:
    """One that was filled at the first attempt, one that needed another, one that failed."""
    lists = {
        status: (await client.get(f"/api/orders?status={status}&limit=100")).json()["orders"]
        for status in ("confirmed", "failed")
    }
    slipped = next(order for order in lists["failed"] if order["failure"]["code"] == "slippage_exceeded")
    return {
        "filled": next(order["orderId"] for order in lists["confirmed"] if order["attempts"] == 1),
        "retried": next(order["orderId"] for order in lists["confirmed"] if order["attempts"] > 1),
        "failed": slipped["orderId"],
    }


async def _take_order(page: Page, url: str, path: Path) -> None:
    await page.goto(url)
    await expect(page.locator(".order-route")).to_be_visible()
    await page.screenshot(path=path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""The console in real Chromium: pages that are watched for complaints, and for requests to anybody else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    WebSocket,
    async_playwright,
    expect,
)

from tests.contract.browser import QUIET

MILLISECONDS: Final = 30_000.0  # for anything that a page is waited for
NETWORK: Final = ("net::ERR_", "WebSocket connection to")  # what a page complains of that is cut off
NOT_FOUND: Final = "the server responded with a status of 404"
DESKTOP: Final = (1440, 900)
PHONE: Final = (360, 740)

expect.set_options(timeout=MILLISECONDS)


class Visitor:
    """Opens pages, each in a profile of its own; `check` fails if one of them complained or asked anybody else."""

    def __init__(self, browser: Browser, engine_url: str) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._hosts = {urlsplit(engine_url).netloc}
        self._forgiven: tuple[str, ...] = ()
        self._complaints: list[str] = []
        self._strangers: set[str] = set()
        self.engine_url = engine_url

    async def open(
        self, path: str = "/", *, size: tuple[int, int] = DESKTOP, url: str | None = None, **options: Any
    ) -> Page:
        """A page of the console, at this size; `url` is another way to the engine."""
        page = await self.blank(size=size, url=url, **options)
        await page.goto(f"{url or self.engine_url}{path}")
        return page

    async def blank(self, *, size: tuple[int, int] = DESKTOP, url: str | None = None, **options: Any) -> Page:
        """A page that is watched, and shows nothing yet."""
        width, height = size
        context = await self._browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(MILLISECONDS)
        self._contexts.append(context)
        self._hosts |= {urlsplit(url).netloc} if url else set()
        page = await context.new_page()
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self._complaints.append(str(error)))
        page.on("request", self._note)
        page.on("websocket", self._note)
        return page

    def forgive(self, *complaints: str) -> None:
        """What the test itself brings about."""
        self._forgiven += complaints

    def check(self) -> None:
        assert self._complaints == []
        assert self._strangers == set()

    async def close(self) -> None:
        for context in self._contexts:
            await context.close()

    def _hear(self, message: ConsoleMessage) -> None:
        is_forgiven = any(words in message.text for words in self._forgiven)
        if message.type in {"error", "warning"} and not is_forgiven:
            self._complaints.append(f"{message.type}: {message.text} ({message.location})")

    def _note(self, asked: Request | WebSocket) -> None:
        place = urlsplit(asked.url)
        if place.scheme not in {"data", "blob"} and place.netloc not in self._hosts:
            self._strangers.add(asked.url)


@asynccontextmanager
async def browsing(program: str) -> AsyncIterator[Browser]:
    """A browser that is gone afterwards; Playwright brings none of its own."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=Path(program), args=list(QUIET))
        yield browser
        await browser.close()


async def texts(page: Page, selector: str) -> list[str]:
    """What is to be read in each of these, in order."""
    return [text.strip() for text in await page.locator(selector).all_inner_texts()]

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Final, NamedTuple

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.clients.conftest import missing
from tests.console.browser import Visitor, browsing
from tests.contract.browser import chromium
from tests.e2e.clients import client_of
from tests.e2e.premises import a_site
from tests.e2e.programs import Program
from tests.support.servers import Servers

# Slow enough that something can happen between two steps, and no attempt fails unless it is asked to.
MARKET: Final = {"MOCK_DEX_QUOTE_DELAY_MS": "150", "MOCK_DEX_EXECUTION_DELAY_MS": "1200"}
AS_MANY_AS_THEY_LIKE: Final = "0"


class Engine(NamedTuple):
    """An engine that pages look at, and the only worker of it."""

    url: str
    worker: Program


@pytest.fixture(scope="session")
def engine(
    server_urls: Servers, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """One engine for all pages: an API and a worker, started from the command line."""
    with a_site(server_urls, migrated_template, tmp_path_factory.mktemp("engine"), **MARKET) as site:
        worker = site.start_worker()
        yield Engine(site.start_ready_api(API_MAX_ORDERS_PER_MIN=AS_MANY_AS_THEY_LIKE).url, worker)


@pytest.fixture(scope="session")
def engine_url(engine: Engine) -> str:
    return engine.url


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    program = chromium()
    if program is None:
        missing("Chromium is not installed: apt-get install chromium")
    async with browsing(program) as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(browser: Browser, engine_url: str) -> AsyncIterator[Visitor]:
    visitor = Visitor(browser, engine_url)
    yield visitor
    await visitor.close()
    visitor.check()


@pytest_asyncio.fixture(loop_scope="session")
async def client(engine_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(engine_url) as client:
        yield client

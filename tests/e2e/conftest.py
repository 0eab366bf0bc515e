from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.live import UNLIMITED
from tests.e2e.premises import Api, Site, a_site
from tests.e2e.programs import Launcher, launching
from tests.support.servers import Servers
from tests.support.wire import Wire


class Running(NamedTuple):
    """An engine at work: two APIs and a worker."""

    site: Site
    apis: list[Api]

    @property
    def urls(self) -> list[str]:
        return [api.url for api in self.apis]

    @property
    def url(self) -> str:
        return self.urls[0]


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Launcher]:
    with launching(tmp_path) as launcher:
        yield launcher


@pytest.fixture
def site(database_url: str, redis_url: str, launcher: Launcher) -> Iterator[Site]:
    """Servers of this test's own, for processes that it stops, freezes and kills."""
    with closing(Site(launcher, database_url, redis_url)) as site:
        yield site


@pytest.fixture(scope="session")
def engine(
    server_urls: Servers, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """One engine for all tests that do it no harm; each of them calls from an address of its own."""
    with a_site(server_urls, migrated_template, tmp_path_factory.mktemp("engine")) as site:
        apis = [site.start_api(), site.start_api()]
        site.start_worker()
        yield Running(site, apis)


@pytest.fixture(scope="module")
def busy_site(
    server_urls: Servers, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A site with a worker, where each test starts the API that it needs."""
    with a_site(server_urls, migrated_template, tmp_path_factory.mktemp("busy")) as site:
        site.start_worker()
        yield site


@pytest.fixture(scope="module")
def api(busy_site: Site) -> Api:
    return busy_site.start_ready_api(**UNLIMITED)


@pytest.fixture
async def wire(api: Api) -> AsyncIterator[Wire]:
    async with Wire(*api.door.getsockname()) as wire:
        yield wire

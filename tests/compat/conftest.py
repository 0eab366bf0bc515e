from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.compat.user import User, a_user
from tests.e2e.ledger import Books
from tests.e2e.premises import a_site
from tests.support.servers import Servers

AS_MANY_AS_THEY_LIKE = "0"


class Engine(NamedTuple):
    """An API and a worker, started from the command line, on venues that are quick and never fail."""

    url: str
    books: Books
    redis_url: str


@pytest.fixture(scope="session")
def engine(
    server_urls: Servers, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    with a_site(
        server_urls,
        migrated_template,
        tmp_path_factory.mktemp("engine"),
        API_MAX_ORDERS_PER_MIN=AS_MANY_AS_THEY_LIKE,
    ) as site:
        url = site.start_api().url
        site.start_worker()
        yield Engine(url, site.books, site.redis_url)


@pytest.fixture
def user(data_dir: Path) -> Iterator[User]:
    with a_user(data_dir) as user:
        yield user

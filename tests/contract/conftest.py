from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from tests.clients.conftest import show as show  # noqa: PLC0414  # a fixture of these tests too
from tests.e2e.premises import a_site
from tests.support.servers import Servers

# Half of the transactions fail, so that orders come to every status there is. Quotes are asked for hundreds of times.
OFTEN_FAILING: Final = {
    "MOCK_DEX_FAILURE_RATE": "0.5", "MAX_ATTEMPTS": "2", "MOCK_DEX_QUOTE_DELAY_MS": "10",
}  # fmt: skip
AS_MANY_AS_THEY_LIKE: Final = "0"


@pytest.fixture(scope="session")
def engine_url(
    server_urls: Servers, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """An API and a worker, started from the command line."""
    with a_site(server_urls, migrated_template, tmp_path_factory.mktemp("engine"), **OFTEN_FAILING) as site:
        site.start_worker()
        yield site.start_ready_api(API_MAX_ORDERS_PER_MIN=AS_MANY_AS_THEY_LIKE).url

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import Final, NoReturn

import pytest

from tests.clients.postman import NEWMAN
from tests.e2e.premises import a_site
from tests.support.servers import Servers

# Another limit than the default is also another count: that of other engines on the same Redis is none of ours.
ORDERS_PER_MINUTE: Final = "1000"


@pytest.fixture(scope="session")
def engine_url(
    server_urls: Servers, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """One engine for all clients: an API and a worker, started from the command line."""
    with a_site(server_urls, migrated_template, tmp_path_factory.mktemp("engine")) as site:
        site.start_worker()
        yield site.start_ready_api(API_MAX_ORDERS_PER_MIN=ORDERS_PER_MINUTE).url


@pytest.fixture(scope="session")
def node() -> str:
    found = shutil.which("node")
    return found or missing("node is not installed")


@pytest.fixture(scope="session")
def newman(node: str) -> None:
    """That newman can be run."""
    if not NEWMAN.exists():
        missing("newman is not installed: make node_modules")


@pytest.fixture
def show(capfd: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Prints where it is read although the test is green, in an xdist process too."""

    def write(text: str) -> None:
        with capfd.disabled():
            sys.stderr.write(f"\n{text}\n")
            sys.stderr.flush()

    return write


def missing(reason: str) -> NoReturn:
    """Skips where people work, and fails in CI, where everything must run."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)

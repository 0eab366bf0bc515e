"""One Postgres and one Redis for the whole session, shared by every xdist process; one database for each test."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import hypothesis
import pytest

from app.dev import server
from tests.support.servers import (
    Servers,
    database_name,
    fresh_database,
    own_redis_database,
    servers_folder,
    session_servers,
)

# The suite times nothing, and its examples are the same for everybody: it judges a commit. With EXPLORE=1 they are new ones.
hypothesis.settings.register_profile("suite", deadline=None, derandomize="EXPLORE" not in os.environ)
hypothesis.settings.load_profile("suite")

_SERVERS: Final = pytest.StashKey[Servers]()


def pytest_configure() -> None:
    """A server that is restarted wants its port again: the servers of no other xdist process draw it meanwhile."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw-1").removeprefix("gw")) + 1
    first, last = server.PORTS[0], server.PORTS[-1]
    share = (last - first) // (int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")) + 1)
    server.PORTS = range(first + number * share, first + (number + 1) * share)  # type: ignore[misc]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Runs in the controller, before each xdist process starts."""
    node.workerinput["servers"] = tuple(_servers(node.config))


def _servers(config: pytest.Config) -> Servers:
    """The session's servers: handed down by the controller, or started here and stopped however the session ends."""
    if handed := getattr(config, "workerinput", {}).get("servers"):
        return Servers(*handed)
    if _SERVERS not in config.stash:
        stack = contextlib.ExitStack()
        config.add_cleanup(stack.close)
        config.stash[_SERVERS] = stack.enter_context(session_servers())
    return config.stash[_SERVERS]


@pytest.fixture(scope="session")
def server_urls(pytestconfig: pytest.Config) -> Servers:
    """Postgres and Redis themselves; most tests want `database_url` and `redis_url`."""
    return _servers(pytestconfig)


@pytest.fixture(scope="session")
def migrated_template(server_urls: Servers) -> Iterator[str]:
    """The name of a database with the newest schema, which nobody connects to."""
    from app.storage.migrations import migrate

    with fresh_database(server_urls.database_url) as url:
        migrate(url)
        yield database_name(url)


@pytest.fixture
def database_url(server_urls: Servers, migrated_template: str) -> Iterator[str]:
    """A migrated database of this test's own."""
    with fresh_database(server_urls.database_url, template=migrated_template) as url:
        yield url


@pytest.fixture
def redis_url(server_urls: Servers) -> str:
    """Redis without anything that the app wrote before this test."""
    return own_redis_database(server_urls.redis_url)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A folder for embedded servers that a test starts, stops and kills itself."""
    with servers_folder() as folder:
        yield folder

"""A database and a Redis, and the engine's processes on them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import httpx

from tests.e2e.ledger import Books
from tests.e2e.programs import Launcher, Program, launching
from tests.support.servers import Servers, fresh_database, own_redis_database

BACKLOG: Final = 512


class Api(NamedTuple):
    """An API process, and the socket that it answers on, which outlives it."""

    program: Program
    door: socket.socket

    @property
    def url(self) -> str:
        host, port = self.door.getsockname()
        return f"http://{host}:{port}"


class Site:
    def __init__(self, launcher: Launcher, database_url: str, redis_url: str) -> None:
        self.launcher = launcher
        self.books = Books(database_url)
        self.redis_url = redis_url
        self._urls = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
        self._doors: list[socket.socket] = []

    def start_api(self, **settings: str) -> Api:
        """An API on a socket that is open already: clients wait while it starts."""
        door = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self._doors.append(door)
        return Api(self.launcher.start_api(door, **self._urls, **settings), door)

    def start_ready_api(self, **settings: str) -> Api:
        """An API that answers: a command gives up sooner than a busy machine starts one."""
        api = self.start_api(**settings)
        assert httpx.get(f"{api.url}/readyz", timeout=40, trust_env=False, verify=False).is_success
        return api

    def start_again(self, api: Api) -> Api:
        """Another process in the place of one that has ended."""
        return api._replace(program=self.launcher.start_api(api.door, **self._urls))

    def start_worker(self, **settings: str) -> Program:
        """A worker that takes orders as soon as it has started."""
        return self.start("worker", **settings)

    def start(self, *arguments: str, **settings: str) -> Program:
        """Any command of the engine, on this database and Redis."""
        return self.launcher.start(*arguments, **self._urls, **settings)

    def close(self) -> None:
        for door in self._doors:
            door.close()


@contextmanager
def a_site(servers: Servers, template: str, folder: Path, **settings: str) -> Iterator[Site]:
    """A site with a database and a Redis of its own; the settings are those of all its processes."""
    with (
        fresh_database(servers.database_url, template=template) as database_url,
        launching(folder, **settings) as launcher,
        closing(Site(launcher, database_url, own_redis_database(servers.redis_url))) as site,
    ):
        yield site

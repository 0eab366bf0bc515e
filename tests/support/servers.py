"""The servers of a test session: those that DATABASE_URL and REDIS_URL name, or else our own; and databases on them."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psycopg
import redis
from psycopg import sql

from app.dev.embedded import EmbeddedPostgres, EmbeddedValkey
from app.dev.lodging import lodge

UNSAFE_BUT_FAST = {"fsync": "off", "full_page_writes": "off"}  # the data go with the session
MANY_ENGINES = {"max_connections": "500"}  # at once, in several test processes
IN_MEMORY = Path("/dev/shm")
ROOM = 4 * 2**30  # bytes
# Of a random password: by default a client computes 4 ms for each connection.
FEW_HASHES = "SET scram_iterations = 1"
WRITTEN_BY_THE_APP = ("order-engine:*", "active_order:*")


class Servers(NamedTuple):
    """Where the session's servers are; a plain tuple of strings, so that it travels to other processes."""

    database_url: str
    redis_url: str


@contextmanager
def session_servers() -> Iterator[Servers]:
    database_url, redis_url = os.environ.get("DATABASE_URL", ""), os.environ.get("REDIS_URL", "")
    with ExitStack() as stack:
        folder = stack.enter_context(servers_folder())
        if not database_url:
            postgres = EmbeddedPostgres(folder / "postgres", UNSAFE_BUT_FAST | MANY_ENGINES)
            database_url = stack.enter_context(postgres).url
            _hash_the_password_quickly(database_url)
        if not redis_url:
            redis_url = stack.enter_context(EmbeddedValkey(folder / "valkey")).url
        yield Servers(database_url, redis_url)


def _hash_the_password_quickly(server_url: str) -> None:
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(FEW_HASHES)
        password = sql.SQL("ALTER ROLE CURRENT_USER PASSWORD {}")
        server.execute(password.format(urlsplit(server_url).password))


@contextmanager
def servers_folder() -> Iterator[Path]:
    """A folder that the embedded servers can reach, whoever runs the tests; deleted at the end."""
    with tempfile.TemporaryDirectory(
        prefix="order-engine-tests-", dir=_quick_folder(), ignore_cleanup_errors=True
    ) as private:
        Path(private).chmod(0o711)
        folder = lodge(Path(private, "state"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _quick_folder() -> Path | None:
    """Where TMPDIR says, or in memory, if there is room: a database is 300 files, and most tests have one of their own."""
    if os.environ.get("TMPDIR"):
        return None
    try:
        has_room = shutil.disk_usage(IN_MEMORY).free >= ROOM and os.access(IN_MEMORY, os.W_OK)
    except OSError:
        has_room = False
    return IN_MEMORY if has_room else None


@contextmanager
def fresh_database(server_url: str, *, template: str = "template1") -> Iterator[str]:
    """The URL of a new database with a random name, a copy of the template; dropped at the end, whoever uses it."""
    name = f"order_engine_test_{secrets.token_hex(6)}"
    with psycopg.connect(server_url, autocommit=True) as server:
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        server.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
    try:
        yield urlsplit(server_url)._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(server_url, autocommit=True) as server:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def database_name(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


def own_redis_database(server_url: str) -> str:
    """The URL of the Redis database that only this xdist process uses, with what the app left there deleted."""
    parts = urlsplit(server_url)
    index = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    url = parts._replace(path=f"/{int(parts.path.strip('/') or 0) + index}").geturl()
    with redis.Redis.from_url(url) as client:
        for pattern in WRITTEN_BY_THE_APP:
            for key in client.scan_iter(pattern, count=1000):
                client.delete(key)
    return url

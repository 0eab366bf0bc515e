"""PostgreSQL and Valkey from wheels, for `order-engine run` and the tests: nothing to install, nothing left running."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

import psycopg
import redis

from app.dev.lodging import give
from app.dev.programs import postgres_programs, valkey_program
from app.dev.server import EmbeddedServer, Refusal, ServerFailed
from app.processes.child import Stop, User, spawn, stop

INITDB_TIME: Final = 120.0  # seconds
SUPERUSER: Final = "order_engine"
POSTGRES_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # a socket's path must be short, and a checkout's is not
    "max_connections": "200",
}
VALKEY_SETTINGS: Final = {
    "bind": "127.0.0.1",
    "databases": "64",
    "save": '""',  # what Redis holds may be lost; Postgres is the only truth
    "appendonly": "no",
}


class EmbeddedPostgres(EmbeddedServer):
    """PostgreSQL with its cluster in `data_dir`; `settings` are server parameters besides the defaults."""

    name: ClassVar[str] = "postgres"
    stops_by: ClassVar[tuple[Stop, ...]] = (Stop(signal.SIGINT, 10), Stop(signal.SIGQUIT, 5))
    dies_by: ClassVar[signal.Signals] = signal.SIGQUIT  # gone at once; the next start recovers from the log

    _password = ""

    @property
    def url(self) -> str:
        return f"postgresql://{SUPERUSER}:{self._password}@127.0.0.1:{self.port}/postgres"

    def _prepare(self, home: Path, user: User | None) -> None:
        self._password = _kept_password(home, user)
        if not (home / "cluster").exists():
            self._make_cluster(home, user)

    def _make_cluster(self, home: Path, user: User | None) -> None:
        """The cluster appears under its name when it is complete and on disk, or not at all."""
        for leftover in home.glob("new-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        stage = Path(tempfile.mkdtemp(prefix="new-", dir=home))
        give(stage, user)
        password = stage / "password"
        password.write_text(self._password)
        give(password, user)
        with (stage / "initdb.log").open("w+") as log:
            initdb = spawn(
                [str(postgres_programs(home, user) / "initdb"), *_initdb_arguments(stage)],
                dies_by=signal.SIGKILL, user=user, env=_environment(), cwd=stage, output=log.fileno(),
            )  # fmt: skip
            with contextlib.suppress(subprocess.TimeoutExpired):
                initdb.wait(INITDB_TIME)
            if initdb.poll() != 0:
                stop(initdb)
                log.seek(0)
                raise ServerFailed(f"initdb failed: {log.read()}")
        (stage / "cluster").rename(home / "cluster")
        _sync(home)
        shutil.rmtree(stage)

    def _command(self, home: Path, user: User | None, port: int) -> tuple[list[str], dict[str, str]]:
        cluster = home / "cluster"
        settings = {**POSTGRES_SETTINGS, **self._settings, "port": str(port)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        env = _environment()
        if stale := _stale_lock(cluster):
            env["PG_GRANDPARENT_PID"] = stale  # "this process id is not a competitor"
        return [str(postgres_programs(home, user) / "postgres"), "-D", str(cluster), *options], env

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _refusal(self, said: str) -> Refusal:
        if re.search(r'lock file ".*" already exists|pre-existing shared memory block', said):
            return Refusal.DATA
        return Refusal.PORT if "could not create any TCP/IP sockets" in said else Refusal.OTHER


class EmbeddedValkey(EmbeddedServer):
    """Valkey, which speaks Redis; it keeps nothing on disk, so `data_dir` holds only its settings and log."""

    name: ClassVar[str] = "valkey"
    stops_by: ClassVar[tuple[Stop, ...]] = (Stop(signal.SIGTERM, 5),)
    dies_by: ClassVar[signal.Signals] = signal.SIGKILL

    def __init__(self, data_dir: Path, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(data_dir, settings)
        self._password = secrets.token_hex(24)

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    def _prepare(self, home: Path, user: User | None) -> None:
        pass

    def _command(self, home: Path, user: User | None, port: int) -> tuple[list[str], dict[str, str]]:
        settings = {**VALKEY_SETTINGS, **self._settings, "port": str(port), "requirepass": self._password}
        text = "".join(f"{name} {value}\n" for name, value in settings.items())
        _write_secret(home / "valkey.conf", text, user)
        return [str(valkey_program(home, user)), str(home / "valkey.conf")], _environment()

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=2, socket_connect_timeout=2) as client:
                client.ping()
        except redis.RedisError:
            return False
        return True

    def _refusal(self, said: str) -> Refusal:
        return Refusal.PORT if "Failed listening on port" in said else Refusal.OTHER


def _initdb_arguments(stage: Path) -> list[str]:
    return [
        f"--pgdata={stage / 'cluster'}",
        f"--username={SUPERUSER}",
        f"--pwfile={stage / 'password'}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",  # the same order of strings on every system
        "--builtin-locale=C.UTF-8",
    ]


def _kept_password(home: Path, user: User | None) -> str:
    path = home / "password"
    if path.exists():
        return path.read_text()
    if (home / "cluster").exists():
        raise ServerFailed(
            f"{path} is gone, and the data beside it cannot be opened without it; remove {home}"
        )
    password = secrets.token_hex(24)
    _write_secret(path, password, user)
    return password


def _write_secret(path: Path, text: str, user: User | None) -> None:
    """The file holds either what it held or the whole text, and only its owner reads it."""
    descriptor, stage = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    give(Path(stage), user)
    Path(stage).rename(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _environment() -> dict[str, str]:
    """Nothing of ours: PGDATA, PGPORT and the like would steer the servers."""
    return {"LC_ALL": "C", "PATH": "/usr/bin:/bin", "TZ": "UTC"}


def _stale_lock(cluster: Path) -> str | None:
    """The process id in `postmaster.pid` when it is not this cluster's server (killed, and its number used again)."""
    try:
        holder = (cluster / "postmaster.pid").read_text().split("\n", 1)[0].strip()
    except FileNotFoundError:
        return None
    if sys.platform != "linux" or not holder.isdecimal():
        return None
    try:
        working_folder = Path(f"/proc/{holder}/cwd").readlink()  # a server works in its data folder
    except FileNotFoundError:
        return holder
    except PermissionError:
        return None
    return None if working_folder == cluster.resolve() else holder

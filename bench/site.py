"""A Postgres and a Valkey of a measurement's own, and the engine's processes on them; all are gone afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import psycopg

from app.dev.embedded import EmbeddedPostgres, EmbeddedValkey
from app.dev.lodging import give, lodge
from app.processes.child import Stop, User, spawn, stop
from app.storage.migrations import migrate

ROOT: Final = Path(__file__).resolve().parents[1]
STATE: Final = ROOT / ".order-engine"
COMMAND: Final = (sys.executable, "-m", "app.cli")
BACKLOG: Final = 2048
READY_SECONDS: Final = 60.0
STOP: Final = Stop(signal.SIGTERM, 15)
KEPT: Final = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
)  # no setting of whoever measures reaches the engine

# As in production, but for the market's own delays and failures, which are not ours to measure.
WITHOUT_DELAYS: Final = {
    "APP_ENV": "production",
    "LOG_LEVEL": "warning",
    "MOCK_DEX_QUOTE_DELAY_MS": "0",
    "MOCK_DEX_EXECUTION_DELAY_MS": "0",
    "MOCK_DEX_SLOT_MS": "0",
    "MOCK_DEX_FAILURE_RATE": "0",
}
# Counts every order, and refuses none.
UNREACHED_LIMIT: Final = {"API_MAX_ORDERS_PER_MIN": "1000000000"}


class KnownPostgres(EmbeddedPostgres):
    """Postgres where a target file says: on that port, with that password."""

    def __init__(self, data_dir: Path, port: int, password: str) -> None:
        super().__init__(data_dir)
        self._port = port
        self._known_password = password

    def _prepare(self, home: Path, user: User | None) -> None:
        path = home / "password"
        path.write_text(self._known_password, encoding="utf-8")
        give(path, user)
        super()._prepare(home, user)


class Site:
    """The engine on two servers; API processes share one open socket."""

    def __init__(self, database_url: str, redis_url: str, settings: Mapping[str, str], port: int = 0) -> None:
        self.database_url = database_url
        self.redis_url = redis_url
        self.settings = dict(settings)
        self.door = socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
        self.apis: list[subprocess.Popen[bytes]] = []
        self.workers: list[subprocess.Popen[bytes]] = []

    @property
    def port(self) -> int:
        return int(self.door.getsockname()[1])

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in (*self.apis, *self.workers)]

    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        urls = {"DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url, "PYTHONPATH": str(ROOT)}
        return {**kept, **self.settings, **urls}

    def spawn(self, *command: str) -> subprocess.Popen[bytes]:
        """A child on the site's settings, which may take the open socket over."""
        return spawn(
            command,
            dies_by=signal.SIGKILL,
            env=self.environment(),
            cwd=ROOT,
            output=sys.stderr.fileno(),
            pass_fds=[self.door.fileno()],
        )

    def start_api(self) -> None:
        self.apis.append(self.spawn(*COMMAND, "api", "--fd", str(self.door.fileno())))

    def start_worker(self) -> None:
        self.workers.append(self.spawn(*COMMAND, "worker"))

    def until_ready(self) -> None:
        """Waits until the API answers and every worker's heart beats."""
        deadline = time.monotonic() + READY_SECONDS
        while not (self._answers() and self._beating() >= len(self.workers)):
            if time.monotonic() > deadline or any(p.poll() is not None for p in (*self.apis, *self.workers)):
                raise SystemExit("the engine did not start; what it said stands above")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/readyz", timeout=2, trust_env=False).is_success
        except httpx.HTTPError:
            return False

    def _beating(self) -> int:
        with psycopg.connect(self.database_url) as connection:
            row = connection.execute("SELECT count(*) FROM live_workers").fetchone()
        return int(row[0]) if row else 0

    def stop_workers(self) -> None:
        for process in self.workers:
            stop(process, STOP)
        self.workers.clear()

    def close(self) -> None:
        self.stop_workers()
        for process in self.apis:
            stop(process, STOP)
        self.apis.clear()
        self.door.close()


@contextmanager
def folder_for_servers() -> Iterator[Path]:
    """A new folder on the disk of the checkout: what is measured there is what `make run` would get."""
    STATE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=STATE, ignore_cleanup_errors=True) as private:
        Path(private).chmod(0o711)
        folder = lodge(Path(private, "state"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def servers(**postgres_settings: str) -> Iterator[tuple[str, str]]:
    """The URLs of a new, migrated Postgres (fsync on) and a new Valkey."""
    with (
        folder_for_servers() as folder,
        EmbeddedPostgres(folder / "postgres", postgres_settings) as postgres,
        EmbeddedValkey(folder / "valkey") as valkey,
    ):
        migrate(postgres.url)
        yield postgres.url, valkey.url


@contextmanager
def engine(
    urls: tuple[str, str],
    *,
    apis: int = 1,
    workers: int = 1,
    settings: Mapping[str, str] = UNREACHED_LIMIT,
) -> Iterator[Site]:
    """The engine on these servers, ready."""
    site = Site(*urls, {**WITHOUT_DELAYS, **settings})
    try:
        for _ in range(apis):
            site.start_api()
        for _ in range(workers):
            site.start_worker()
        site.until_ready()
        yield site
    finally:
        site.close()


def resident_kib(pid: int) -> int:
    """The resident memory of a process, in KiB (VmRSS of /proc)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))

"""What the embedded servers have in common: start until ready, say why not, stop."""

from __future__ import annotations

import abc
import contextlib
import os
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import ClassVar, Final, Self

from app.dev.lodging import give, lodge, servers_user
from app.errors import EngineError
from app.processes.child import Stop, User, spawn, stop

PORTS: Final = range(
    20_000, 32_000
)  # below the ports that the system hands out, so that a restart finds its own free
LOG_LIMIT: Final = 5_000_000
PATIENCE: Final = 15.0  # seconds for a predecessor on the same data or port to be gone
RECOVERY: Final = 60.0  # seconds for a server that runs to let clients in


class ServerFailed(EngineError):  # noqa: N818  # reads as what it is
    """An embedded server did not start; the message says why and where its log is."""


class Refusal(Enum):
    """Why a server ended instead of starting."""

    PORT = "its port is taken"
    DATA = "another server is still using its data"
    OTHER = "it failed"


class EmbeddedServer(abc.ABC):
    """A server on 127.0.0.1 that lives as long as the thread that started it; its data outlive it."""

    name: ClassVar[str]
    stops_by: ClassVar[tuple[Stop, ...]]
    dies_by: ClassVar[signal.Signals]

    def __init__(self, data_dir: Path, settings: Mapping[str, str] | None = None) -> None:
        self._data_dir = data_dir
        self._settings = dict(settings or {})
        self._port: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._wanted = False
        self._lock = threading.Lock()  # `stop` may come from another thread while `start` waits

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    @abc.abstractmethod
    def url(self) -> str: ...

    @property
    def port(self) -> int:
        if self._port is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._port

    @property
    def pid(self) -> int:
        """The server's process id; kept after its end."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start and wait until clients are let in; a second start keeps the port. Raises ServerFailed, SettingsError."""
        if self._process is not None and self.exit_code is None:
            return
        self._wanted = True
        home = lodge(self._data_dir)
        user = servers_user(home)
        self._prepare(home, user)
        fixed_port, deadline = self._port, time.monotonic() + PATIENCE
        while True:
            refusal, said = self._attempt(home, user, fixed_port or _free_port())
            if refusal is None:
                return
            if refusal is Refusal.OTHER or time.monotonic() > deadline or not self._wanted:
                raise ServerFailed(
                    f"{self.name} did not start: {refusal.value}; see {home / 'server.log'}\n{said}"
                )
            time.sleep(0.2)

    def stop(self) -> None:
        """Stop in good order, and by force when that takes too long."""
        self._end(*self.stops_by)

    def stop_immediately(self) -> None:
        """Stop as a crash would."""
        self._end(Stop(self.dies_by, 5))

    def _end(self, *steps: Stop) -> None:
        with self._lock:
            self._wanted = False
            process = self._process
        if process is not None and process.poll() is None:
            stop(process, *steps)

    @abc.abstractmethod
    def _prepare(self, home: Path, user: User | None) -> None:
        """Make everything that the server needs before it is started."""

    @abc.abstractmethod
    def _command(self, home: Path, user: User | None, port: int) -> tuple[list[str], dict[str, str]]:
        """The server's command and environment."""

    @abc.abstractmethod
    def _answers(self) -> bool:
        """Whether a client is let in."""

    @abc.abstractmethod
    def _refusal(self, said: str) -> Refusal:
        """What the last words of a server that ended mean."""

    def _attempt(self, home: Path, user: User | None, port: int) -> tuple[Refusal | None, str]:
        command, env = self._command(home, user, port)
        with _log(home, user) as (log, beginning):
            with self._lock:
                if not self._wanted:
                    return Refusal.OTHER, "it was stopped while it started"
                self._port = port
                self._process = spawn(command, dies_by=self.dies_by, user=user, env=env, cwd=home, output=log)
            if self._ready(self._process):
                return None, ""
            said = os.pread(log, 10_000, beginning).decode(errors="replace")
        return self._refusal(said), said

    def _ready(self, process: subprocess.Popen[bytes]) -> bool:
        deadline = time.monotonic() + RECOVERY
        while process.poll() is None:
            if self._answers():
                return True
            if time.monotonic() > deadline:
                stop(process, *self.stops_by)
            time.sleep(0.02)
        return False


def _free_port() -> int:
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def _log(home: Path, user: User | None) -> Iterator[tuple[int, int]]:
    """The server's log, opened to append, and its size; the one before is kept when it has grown large."""
    path = home / "server.log"
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.rename(path.with_suffix(".log.1"))
    log = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        give(path, user)
        yield log, os.fstat(log).st_size
    finally:
        os.close(log)

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from app.errors import SettingsError
from app.processes import listening
from tests.support.processes import all_gone, command_line, eventually, family, linux_only
from tests.support.servers import Servers

pytestmark = linux_only

PROCESSES = {
    "api": "stub_engine api",
    "worker": "stub_engine worker",
    "postgres": "bin/postgres -D",
    "valkey": "valkey-server",
}


class Engine:
    """A running supervisor: what it printed, and its processes."""

    def __init__(self, folder: Path, **environment: str) -> None:
        env = {**os.environ, "PORT": "0", "DATABASE_URL": "", "REDIS_URL": "", **environment}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.dev.stub_engine", "run", str(folder)],
            env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.lines: list[str] = []
        self.seen: set[int] = set()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    @property
    def url(self) -> str:
        found = re.search(r"with its console, at (\S+)", self.output)
        assert found is not None
        return found[1]

    def until_ready(self) -> Engine:
        eventually(lambda: "progress" in self.lines or self.process.poll() is not None)
        self.seen |= family(self.process.pid)
        return self

    def pid_of(self, name: str) -> int | None:
        found = [pid for pid in family(self.process.pid) if PROCESSES[name] in command_line(pid)]
        return found[0] if found else None

    def pids(self) -> dict[str, int | None]:
        return {name: self.pid_of(name) for name in PROCESSES}

    def ended(self) -> int:
        """The exit code; fails when a process that was ever seen is left behind."""
        code = self.process.wait(30)
        self._reader.join()
        all_gone(self.seen)
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                self.lines.append(line.rstrip("\n"))


@contextlib.contextmanager
def an_engine(folder: Path, **environment: str) -> Iterator[Engine]:
    engine = Engine(folder, **environment)
    try:
        yield engine
    finally:
        engine.seen |= family(engine.process.pid)
        engine.process.kill()
        engine.ended()


def test_sigterm_stops_everything_in_order(data_dir: Path) -> None:
    with an_engine(data_dir) as engine:
        assert None not in engine.until_ready().pids().values()
        engine.process.send_signal(signal.SIGTERM)
        assert engine.ended() == 0
        assert [line for line in engine.lines if "stopped" in line] == ["api stopped", "worker stopped"]


def test_the_banner_tells_what_to_type(data_dir: Path) -> None:
    with an_engine(data_dir) as engine:
        engine.until_ready()
        curl = next(line for line in engine.lines if "orders/execute" in line)
        done = subprocess.run(curl, shell=True, capture_output=True, text=True, check=False)
        assert done.stdout == str(engine.pid_of("api"))
        assert f"{engine.url}/docs" in engine.output
        assert str(data_dir) in engine.output


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_that_is_killed_is_started_again(data_dir: Path, name: str) -> None:
    with an_engine(data_dir) as engine:
        before = engine.until_ready().pids()
        killed = before[name]
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: engine.pid_of(name) not in {None, killed})
        assert {other: pid for other, pid in engine.pids().items() if other != name} == {
            other: pid for other, pid in before.items() if other != name
        }


def test_requests_wait_while_the_api_is_started_again(data_dir: Path) -> None:
    with an_engine(data_dir) as engine:
        killed = engine.until_ready().pid_of("api")
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: engine.pid_of("api") != killed)
        assert httpx.get(engine.url, timeout=30, trust_env=False, verify=False).text == str(
            engine.pid_of("api")
        )


def test_after_a_kill_everything_dies_and_the_next_run_has_the_data(data_dir: Path) -> None:
    with an_engine(data_dir) as engine:
        engine.until_ready()
        engine.process.kill()
        with an_engine(data_dir) as successor:
            assert None not in successor.until_ready().pids().values()
        assert engine.ended() == -signal.SIGKILL


def test_a_second_run_in_the_same_folder_is_refused(data_dir: Path) -> None:
    with an_engine(data_dir) as engine:
        engine.until_ready()
        with an_engine(data_dir) as second:
            assert second.ended() == 1
            assert f"already running on {data_dir} (process {engine.process.pid})" in second.output
        assert None not in engine.pids().values()


@pytest.mark.parametrize("step", ["initdb", "postgres -D", "stub_engine migrate", "stub_engine api"])
def test_a_signal_half_way_through_the_start_leaves_nothing(data_dir: Path, step: str) -> None:
    with an_engine(data_dir) as engine:
        eventually(lambda: any(step in command_line(pid) for pid in family(engine.process.pid)))
        engine.seen |= family(engine.process.pid)
        engine.process.send_signal(signal.SIGINT)
        assert engine.ended() == 0


def test_a_migration_that_fails_ends_the_run(data_dir: Path) -> None:
    with an_engine(data_dir, STUB_MIGRATE="3") as engine:
        engine.until_ready()
        assert engine.ended() == 1
        assert "the migration of the database failed (exit code 3)" in engine.output


def test_the_second_signal_kills_what_does_not_stop(data_dir: Path) -> None:
    with an_engine(data_dir, STUB_STUBBORN="1") as engine:
        engine.until_ready()
        engine.process.send_signal(signal.SIGTERM)
        eventually(lambda: "api stopped" in engine.lines)
        engine.process.send_signal(signal.SIGTERM)
        assert engine.ended() == 130
        assert "worker stopped" not in engine.lines


def test_servers_that_are_given_are_used(data_dir: Path, server_urls: Servers) -> None:
    given = {"DATABASE_URL": server_urls.database_url, "REDIS_URL": server_urls.redis_url}
    with an_engine(data_dir, **given) as engine:
        pids = engine.until_ready().pids()
        assert (pids["postgres"], pids["valkey"]) == (None, None)
        engine.process.send_signal(signal.SIGTERM)
        assert engine.ended() == 0
    with psycopg.connect(server_urls.database_url) as still_there:
        still_there.execute("SELECT 1")


async def test_a_port_in_use_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "PATIENCE", 0.2)
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        pytest.raises(SettingsError, match=r"^PORT: \d+ is in use"),
    ):
        await listening.listen("127.0.0.1", other.getsockname()[1])


async def test_a_port_that_becomes_free_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        threading.Timer(0.3, other.close).start()
        with await listening.listen("127.0.0.1", port) as bound:
            assert bound.getsockname()[1] == port


async def test_a_host_that_is_no_address_is_named() -> None:
    with pytest.raises(SettingsError, match="HOST: 'no such host'"):
        await listening.listen("no such host", 0)

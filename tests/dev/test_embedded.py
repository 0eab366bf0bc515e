from __future__ import annotations

import importlib.util
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from app.dev import server
from app.dev.embedded import EmbeddedPostgres, EmbeddedValkey
from app.dev.lodging import servers_user
from app.dev.server import ServerFailed
from app.errors import SettingsError
from app.processes.child import spawn, stop
from tests.support.processes import all_gone, eventually, family, linux_only


def write(postgres: EmbeddedPostgres, value: int) -> None:
    with psycopg.connect(postgres.url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (value int)")
        connection.execute("INSERT INTO kept VALUES (%s)", [value])


def kept(postgres: EmbeddedPostgres) -> list[int]:
    with psycopg.connect(postgres.url) as connection:
        return [value for (value,) in connection.execute("SELECT value FROM kept ORDER BY value")]


def test_data_and_url_survive_a_stop_and_a_crash(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir / "postgres") as postgres:
        url = postgres.url
        write(postgres, 1)
        postgres.stop()
        postgres.start()
        write(postgres, 2)
        postgres.stop_immediately()
        postgres.start()
        assert kept(postgres) == [1, 2]
        assert postgres.url == url


@linux_only
def test_a_new_process_finds_the_data_after_everything_was_killed(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir / "postgres") as postgres:
        write(postgres, 1)
        processes = family(postgres.pid)
        for pid in [postgres.pid, *processes]:
            _kill(pid)
        with EmbeddedPostgres(data_dir / "postgres") as successor:
            assert kept(successor) == [1]
        all_gone(processes)


def test_a_start_waits_for_a_predecessor_that_is_still_stopping(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir / "postgres") as predecessor:
        write(predecessor, 1)
        slow = threading.Timer(1.0, predecessor.stop)
        slow.start()
        with EmbeddedPostgres(data_dir / "postgres") as successor:
            assert kept(successor) == [1]
        slow.join()


def test_a_start_gives_up_on_data_that_another_server_keeps(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "PATIENCE", 0.5)
    with (
        EmbeddedPostgres(data_dir / "postgres") as holder,
        pytest.raises(ServerFailed, match=f"still using its data(?s:.)*PID {holder.pid}"),
    ):
        EmbeddedPostgres(data_dir / "postgres").start()


@linux_only
def test_a_stale_lock_file_with_the_number_of_another_living_process_is_no_obstacle(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir / "postgres") as postgres:
        write(postgres, 1)
        lock = data_dir / "postgres" / "cluster" / "postmaster.pid"
        left_behind = lock.read_text().split("\n")
        processes = {postgres.pid, *family(postgres.pid)}
        _kill(postgres.pid)
        all_gone(processes)
        stranger = spawn(
            ["/bin/sleep", "60"], dies_by=signal.SIGKILL, user=servers_user(data_dir / "postgres")
        )
        try:
            lock.write_text("\n".join([str(stranger.pid), *left_behind[1:]]))
            postgres.start()
            assert kept(postgres) == [1]
        finally:
            stop(stranger)


@linux_only
def test_both_servers_die_with_a_parent_that_is_killed(data_dir: Path) -> None:
    command = [sys.executable, "-m", "tests.dev.hold_servers", str(data_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        everything = family(parent.pid)
        assert set(pids) <= everything
        parent.kill()
    all_gone(everything)


def test_nobody_gets_in_without_the_password(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir / "postgres") as postgres, EmbeddedValkey(data_dir / "valkey") as valkey:
        stranger = (
            urlsplit(postgres.url)._replace(netloc=f"order_engine:guess@127.0.0.1:{postgres.port}").geturl()
        )
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(stranger)
        with redis.Redis(port=valkey.port) as client, pytest.raises(redis.AuthenticationError):
            client.ping()
        for secret in (data_dir / "postgres" / "password", data_dir / "valkey" / "valkey.conf"):
            assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_an_interrupted_first_start_is_begun_again(data_dir: Path) -> None:
    half_made = data_dir / "postgres" / "new-x" / "cluster"
    half_made.mkdir(parents=True)
    (half_made / "PG_VERSION").write_text("18")
    with EmbeddedPostgres(data_dir / "postgres") as postgres:
        write(postgres, 1)
    assert not half_made.exists()


@pytest.mark.parametrize("kind", [EmbeddedPostgres, EmbeddedValkey])
def test_a_port_that_was_taken_in_the_meantime_is_replaced(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, kind: type[EmbeddedPostgres | EmbeddedValkey]
) -> None:
    with EmbeddedValkey(data_dir / "other") as other:
        ports = iter([other.port, server._free_port()])
        monkeypatch.setattr(server, "_free_port", lambda: next(ports))
        with kind(data_dir / "server") as late:
            assert late.port != other.port


@linux_only
def test_a_server_that_is_stopped_while_it_starts_does_not_run(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres = EmbeddedPostgres(data_dir / "postgres")
    monkeypatch.setattr(EmbeddedPostgres, "_answers", lambda _: False)
    failures: list[ServerFailed] = []

    def start() -> None:
        try:
            postgres.start()
        except ServerFailed as error:
            failures.append(error)

    starting = threading.Thread(target=start)
    starting.start()
    eventually((data_dir / "postgres" / "cluster" / "postmaster.pid").exists)
    postgres.stop()
    starting.join()
    assert failures
    assert not family(postgres.pid)


def test_further_server_parameters_are_taken(data_dir: Path) -> None:
    with (
        EmbeddedPostgres(data_dir / "postgres", {"work_mem": "7MB"}) as postgres,
        psycopg.connect(postgres.url) as connection,
    ):
        rows = connection.execute("SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'work_mem')")
        assert dict(rows.fetchall()) == {"fsync": "on", "work_mem": str(7 * 1024)}


def test_a_missing_wheel_is_told_with_both_ways_out(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SettingsError, match=r"set DATABASE_URL, or install the `embedded` extra"):
        EmbeddedPostgres(data_dir / "postgres").start()
    with pytest.raises(SettingsError, match=r"set REDIS_URL, or install the `embedded` extra"):
        EmbeddedValkey(data_dir / "valkey").start()


def _kill(pid: int) -> None:
    subprocess.run(["kill", "-9", str(pid)], check=False, stderr=subprocess.DEVNULL)

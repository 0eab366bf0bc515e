"""A statement near the wire answers what a driver's would, and leaves a connection usable or ended, nothing between."""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
import pytest
import uvloop

from app.storage.database import Connection, connect
from app.storage.statement import Statement

DEADLINE = 15.0

ONE = Statement("SELECT 1")
ECHO = Statement("SELECT $1::text")
SLEEP = Statement("SELECT pg_sleep($1)")


@pytest.fixture
async def connection(shared_database_url: str) -> AsyncIterator[Connection]:
    connection = await connect(shared_database_url)
    async with connection:
        yield connection


async def test_values_go_and_come_as_the_driver_has_them(connection: Connection) -> None:
    class Row(NamedTuple):
        id: UUID
        amount: Decimal
        raw: bytes
        names: list[str]
        is_set: bool
        nothing: None

    values = (UUID(int=7), Decimal(2**64 - 1), b"\x00\xff", ['a "b"', "ü,{}"], True, None)
    columns = "$1::uuid, $2::numeric, $3::bytea, $4::text[], $5::boolean, $6::text"
    for _ in range(2):  # prepared, and prepared already
        assert await Statement(f"SELECT {columns}").rows(connection, *values, row=Row._make) == [Row(*values)]


async def test_there_may_be_many_rows_or_none(connection: Connection) -> None:
    numbers = Statement("SELECT n FROM generate_series(1, $1) AS n")
    assert await numbers.rows(connection, 1000, row=tuple) == [(n,) for n in range(1, 1001)]
    assert await numbers.rows(connection, 0, row=tuple) == []
    assert await Statement("SET work_mem = '5MB'").rows(connection, row=tuple) == []


async def test_more_than_a_socket_takes_at_once_passes_in_both_directions(connection: Connection) -> None:
    text = "x" * 40_000_000
    assert await ECHO.rows(connection, text, row=tuple) == [(text,)]


async def test_every_connection_has_it_prepared_for_itself(shared_database_url: str) -> None:
    for _ in range(2):
        connection = await connect(shared_database_url)
        async with connection:
            for text in ("a", "b"):
                assert await ECHO.rows(connection, text, row=tuple) == [(text,)]
            cursor = await connection.execute(
                "SELECT count(*) FROM pg_prepared_statements WHERE statement = 'SELECT $1::text'"
            )
            assert await cursor.fetchone() == (1,)


async def test_nothing_is_left_for_the_garbage_collector(connection: Connection) -> None:
    """It seldom looks at what is old, and an answer may be large."""
    await ECHO.rows(connection, "x", row=tuple)
    gc.collect()
    gc.disable()
    try:
        for _ in range(100):
            await ECHO.rows(connection, "x" * 100_000, row=tuple)
        assert gc.collect() < 100
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("sql", "parameters", "error"),
    [
        ("SELECT 1 / $1", [0], psycopg.errors.DivisionByZero),
        ("SELECT nothing FROM nowhere", [], psycopg.errors.UndefinedTable),
        ("SELECT $1::integer", ["x"], psycopg.errors.InvalidTextRepresentation),
        ("SELECT $1::text", ["nul\x00"], psycopg.DataError),
        ("SELECT $1::text", ["\ud800"], UnicodeEncodeError),
    ],
)
async def test_an_error_is_the_drivers_and_the_connection_goes_on(
    connection: Connection, sql: str, parameters: Sequence[Any], error: type[Exception]
) -> None:
    statement = Statement(sql)
    for _ in range(2):
        with pytest.raises(error):
            await statement.rows(connection, *parameters, row=tuple)
    assert await ONE.rows(connection, row=tuple) == [(1,)]


async def test_who_is_cancelled_ends_the_connection(connection: Connection) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await SLEEP.rows(connection, 60, row=tuple)
    assert connection.closed
    with pytest.raises(psycopg.OperationalError):
        await ONE.rows(connection, row=tuple)


async def test_a_server_that_goes_away_meanwhile_is_an_operational_error(
    connection: Connection, shared_database_url: str
) -> None:
    asleep = asyncio.create_task(SLEEP.rows(connection, 60, row=tuple))
    other = await connect(shared_database_url)
    async with other:
        asleep_there = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'"
        pid = connection.info.backend_pid
        while await (await other.execute(asleep_there, (pid,))).fetchone() is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await other.execute("SELECT pg_terminate_backend(%s)", (pid,))
    with pytest.raises(psycopg.OperationalError):
        await asleep
    assert connection.closed


def test_a_reset_that_comes_along_with_the_last_words_is_noticed_at_once() -> None:
    """uvloop, on which the engine runs, calls a reader once after an error of its socket, and never again."""

    async def ask(port: int, to_be_cut: threading.Event) -> None:
        connection = await connect(
            f"host=127.0.0.1 port={port} sslmode=disable gssencmode=disable user=x dbname=x"
        )
        asked = asyncio.create_task(ONE.rows(connection, row=tuple))
        await asyncio.sleep(0)
        to_be_cut.set()
        time.sleep(0.05)  # noqa: ASYNC251  # the loop is busy until all has come
        async with asyncio.timeout(DEADLINE):
            with pytest.raises(psycopg.errors.AdminShutdown, match="as it pleases"):
                await asked
        assert connection.closed

    with socket.create_server(("127.0.0.1", 0)) as door:
        to_be_cut = threading.Event()
        server = threading.Thread(target=_say_goodbye, args=(door, to_be_cut))
        server.start()
        uvloop.run(ask(door.getsockname()[1], to_be_cut))
        server.join()


def _say_goodbye(door: socket.socket, to_be_cut: threading.Event) -> None:
    """A server that lets one client in, and ends its session with a statement unread: that resets the connection."""

    def message(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack("!I", len(body) + 4) + body

    client, _ = door.accept()
    with client:
        client.recv(1000)
        client.sendall(message(b"R", bytes(4)) + message(b"K", bytes(8)) + message(b"Z", b"I"))
        to_be_cut.wait(DEADLINE)
        client.sendall(message(b"E", b"SFATAL\0VFATAL\0C57P01\0Mas it pleases\0\0"))


async def test_a_number_that_libpq_has_given_up_is_left_alone(
    shared_database_url: str, connection: Connection
) -> None:
    """Of a socket: once it is closed, the next one that is opened gets it, before whoever waited runs."""
    asleep = asyncio.create_task(SLEEP.rows(connection, 60, row=tuple))
    await asyncio.sleep(0.05)
    loop, number = asyncio.get_running_loop(), connection.fileno()
    with psycopg.connect(
        shared_database_url, autocommit=True
    ) as other:  # while it waits, the loop does nothing
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (connection.info.backend_pid,))
    while not connection.closed:  # noqa: ASYNC110  # looked at before the task that waits has its turn
        await asyncio.sleep(0)
    assert not loop.remove_reader(number)
    with pytest.raises(psycopg.OperationalError):
        await asleep


async def test_what_a_server_says_of_its_own_accord_is_no_answer(connection: Connection) -> None:
    await connection.execute("LISTEN news")
    told: list[str] = []
    connection.add_notify_handler(lambda notify: told.append(notify.payload))
    for n in range(3):
        assert await Statement("SELECT pg_notify('news', $1)").rows(connection, str(n), row=len) == [1]
        assert await ONE.rows(connection, row=tuple) == [(1,)]
    await connection.execute("SELECT 1")
    assert told == ["0", "1", "2"]

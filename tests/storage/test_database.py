from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import AsyncIterator

import psycopg
import psycopg_pool
import pytest
import sqlalchemy.exc
from psycopg.conninfo import conninfo_to_dict

from app.errors import StorageUnavailable, UnknownOrder
from app.storage import database as module
from app.storage.database import Database, connect, conninfo, unavailable
from app.storage.queries import QUERIES
from app.storage.sessions import SESSION_AWAY, sqlalchemy_url
from tests.support.wire import Wire, wire_to_postgres


@pytest.fixture
async def wire(shared_database_url: str) -> AsyncIterator[Wire]:
    async with wire_to_postgres(shared_database_url) as wire:
        yield wire


def test_every_connection_has_deadlines_on_both_ends() -> None:
    parameters = conninfo_to_dict(conninfo("postgresql://u:p@h:5/d?sslmode=disable", "part"))

    assert (parameters["host"], parameters["dbname"], parameters["sslmode"]) == ("h", "d", "disable")
    assert parameters["application_name"] == "order-engine part"
    assert {"connect_timeout", "keepalives_idle", "keepalives_interval", "keepalives_count"} < set(parameters)
    assert parameters["tcp_user_timeout"] == "10000"


async def test_the_server_ends_what_a_paused_process_left_open(shared_database_url: str) -> None:
    connection = await connect(conninfo(shared_database_url, "test"))
    async with connection:
        for setting, expected in [
            ("statement_timeout", "15s"),
            ("idle_in_transaction_session_timeout", "5s"),
            ("client_connection_check_interval", "1s"),
        ]:
            cursor = await connection.execute("SELECT current_setting(%s)", (setting,))
            assert await cursor.fetchone() == (expected,)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_sqlalchemy_gets_the_same_address_and_our_driver(scheme: str) -> None:
    assert sqlalchemy_url(f"{scheme}://u:p%40@/d?host=/run/x") == "postgresql+psycopg://u:p%40@/d?host=/run/x"


@pytest.mark.parametrize(
    "error",
    [
        psycopg.OperationalError("x"),
        psycopg.errors.AdminShutdown("x"),
        psycopg.errors.ReadOnlySqlTransaction("x"),
        psycopg.errors.IdleInTransactionSessionTimeout("x"),
        psycopg.InterfaceError("x"),
        psycopg_pool.PoolTimeout("x"),
        psycopg_pool.PoolClosed("x"),
        sqlalchemy.exc.OperationalError("x", {}, Exception()),
        sqlalchemy.exc.TimeoutError("x"),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_way_to_be_away_has_one_name_which_tells_no_secrets(error: Exception) -> None:
    message = f"^the database is not available: {type(error).__name__}$"
    with pytest.raises(StorageUnavailable, match=message), unavailable(*SESSION_AWAY):
        raise error


@pytest.mark.parametrize("error", [UnknownOrder("x"), psycopg.errors.UniqueViolation("x"), KeyError("x")])
def test_any_other_error_keeps_its_name(error: Exception) -> None:
    with pytest.raises(type(error)), unavailable():
        raise error


async def test_a_database_that_is_away_is_said_to_be_and_found_again(
    shared_database_url: str, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHECKOUT_SECONDS", 0.3)
    wire.cut()
    async with Database(wire.through(conninfo(shared_database_url, "test"))) as database:
        with pytest.raises(StorageUnavailable):
            async with database.connection():
                pass
        wire.mend()
        found = False
        while not found:  # the test's own timeout bounds it
            try:
                async with database.connection() as connection:
                    found = await (await connection.execute("SELECT 1")).fetchone() == (1,)
            except StorageUnavailable:
                continue


async def test_a_connection_that_died_is_replaced_before_anybody_sees_it(
    shared_database_url: str, wire: Wire
) -> None:
    async with Database(wire.through(conninfo(shared_database_url, "test"))) as database:
        async with database.connection() as connection:
            await connection.execute("SELECT 1")
        wire.cut()
        wire.mend()
        await asyncio.sleep(0.1)  # for the end of the connection to arrive here
        async with database.connection() as connection:
            await connection.execute("SELECT 1")


async def test_a_connection_is_looked_at_whatever_its_number(shared_database_url: str) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        async with Database(conninfo(shared_database_url, "test")) as database:
            for _ in range(2):
                async with database.connection() as connection:
                    assert connection.fileno() > 1024
                    await connection.execute("SELECT 1")
    finally:
        for file in files:
            os.close(file)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_every_statement_is_named_and_has_its_reason() -> None:
    assert {"accept_orders", "claim_orders", "move_orders", "release_orders", "revision"} <= set(QUERIES)
    assert all(sql and "--" not in sql for sql in QUERIES.values())

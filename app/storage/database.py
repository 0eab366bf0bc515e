"""Connections to Postgres: one pool per process, and the parameters that every connection shares."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from types import TracebackType
from typing import Any, Final, Self, TypeAlias, TypeVar

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow
from psycopg_pool import PoolClosed, PoolTimeout

from app.errors import StorageUnavailable
from app.storage.pool import BriefConnection, SteadyPool

Answer = TypeVar("Answer")
Connection: TypeAlias = psycopg.AsyncConnection[TupleRow]

POOL_SIZE: Final = 8
CHECKOUT_SECONDS: Final = 2
RECONNECT_SECONDS: Final = 3
READ_SECONDS: Final = 5

# Without these a partitioned process hangs until the network heals (keepalives: seconds, tcp_user_timeout: ms).
NETWORK: Final = {
    "connect_timeout": 3,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
# A paused process must not keep row locks: the server ends its transaction after 5 s (in milliseconds). A process that
# the network lost must not keep its connections: by default the server would hold them for two hours (in seconds). And
# a statement that nobody waits for any more must not wait for a lock, and do then what its caller was told is uncertain.
SERVER: Final = (
    "-c statement_timeout=15000 -c idle_in_transaction_session_timeout=5000"
    " -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"
    " -c client_connection_check_interval=1000"
)


def conninfo(url: str, application_name: str, *, is_durable: bool = True, plans_once: bool = False) -> str:
    """The connection string for a database URL, with deadlines on both ends.

    What is not durable may be lost in a crash of the server, but never without all that was committed after it. Where
    the same few statements are sent over and over, each is planned once: the server would plan those with arrays anew
    every time, which takes it as long as what they do.
    """
    options = SERVER
    if not is_durable:
        options += " -c synchronous_commit=off"
    if plans_once:
        options += " -c plan_cache_mode=force_generic_plan"
    return make_conninfo(url, application_name=f"order-engine {application_name}", options=options, **NETWORK)


async def connect(conninfo: str) -> Connection:
    """A connection of one's own, in autocommit mode. Raises psycopg.Error."""
    return await BriefConnection.connect(conninfo, autocommit=True, prepare_threshold=1)


@contextmanager
def answering_within(connection: Connection, seconds: float) -> Iterator[None]:
    """Ends a wait for a silent server by cutting the socket: cancelling a query would first ask that server to stop."""
    cut = asyncio.get_running_loop().call_later(seconds, _cut, connection)
    try:
        yield
    finally:
        cut.cancel()


def _cut(connection: Connection) -> None:
    with suppress(OSError, psycopg.Error), socket.socket(fileno=socket.dup(connection.fileno())) as duplicate:
        duplicate.shutdown(socket.SHUT_RDWR)


_left: Final[set[asyncio.Future[Any]]] = set()


async def answer_within(seconds: float, work: Coroutine[Any, Any, Answer]) -> Answer:
    """What the work answers within so many seconds. Raises StorageUnavailable.

    Work that is late is left to end by itself: with a silent server a driver takes its time to be cancelled.
    """
    task = asyncio.ensure_future(work)
    _left.add(task)
    task.add_done_callback(_left.discard)
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        if not task.done():
            task.add_done_callback(lambda late: late.cancelled() or late.exception())
            task.cancel()
    if not task.done():
        raise StorageUnavailable(f"the database did not answer within {seconds:g} s")
    return task.result()


class Database:
    """The pool for reads and for statements that stand alone; the hot writes go through `group_commit`."""

    def __init__(self, conninfo: str, size: int = POOL_SIZE) -> None:
        self.conninfo = conninfo
        self.pool = SteadyPool(
            conninfo,
            min_size=1,
            max_size=size,
            open=False,
            timeout=CHECKOUT_SECONDS,
            # Gives up soon, and the next caller tries at once: its back-off would outlast the outage by as much again.
            reconnect_timeout=RECONNECT_SECONDS,
            kwargs={"prepare_threshold": 1},
            configure=_autocommit,
        )

    async def __aenter__(self) -> Self:
        # Not waiting for the first connection: a process that starts before its database serves 503 until it is there.
        await self.pool.open()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.pool.close(timeout=2)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A pooled connection, for at most a few seconds. Raises StorageUnavailable."""
        with unavailable():
            async with self.pool.connection() as connection:
                with answering_within(connection, READ_SECONDS):
                    yield connection


async def _autocommit(connection: Connection) -> None:
    # Set here, not in kwargs: procrastinate's LISTEN connection would get the argument twice.
    await connection.set_autocommit(True)


# A standby, a server that went read-only, a transaction that was left alone too long: psycopg takes them for bugs.
REFUSALS: Final = (psycopg.errors.ReadOnlySqlTransaction, psycopg.errors.IdleInTransactionSessionTimeout)
_AWAY: Final = (
    *REFUSALS,
    psycopg.OperationalError,
    psycopg.InterfaceError,
    PoolTimeout,
    PoolClosed,
    TimeoutError,
)


class unavailable:  # noqa: N801  # reads as a statement: with unavailable()
    """Turns every way in which a database can be away, and `others`, into StorageUnavailable."""

    def __init__(self, *others: type[Exception]) -> None:
        self._errors = (*_AWAY, *others)

    def __enter__(self) -> None:
        return

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if isinstance(exc, self._errors):
            raise StorageUnavailable(f"the database is not available: {type(exc).__name__}") from exc

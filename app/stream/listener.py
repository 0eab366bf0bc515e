"""One LISTEN connection per process, kept alive through everything that can happen to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, NamedTuple, Self, TypeAlias
from uuid import UUID

import msgspec
import structlog

from app.orders.lifecycle import Status
from app.orders.model import OrderEvent
from app.storage.database import Connection, answering_within, connect
from app.storage.ear import Ear
from app.stream.supervision import Backoff, keep_running, stop

CHANNEL: Final = "order_events"
CONNECT_SECONDS: Final = 5.0
PROBE_EVERY: Final = 4.0  # seconds between two signs of life
PROBE_SECONDS: Final = 2.0  # a connection that has not answered by then is dead


class Notice(NamedTuple):
    """That an event exists, and mostly the event itself, not taken apart yet: most are of orders that nobody watches."""

    order_id: UUID
    sequence: int
    rest: str = ""  # position, status, time and data

    def event(self) -> OrderEvent | None:
        """The event, if it is all there."""
        try:
            position, status, at, data = self.rest.split(" ", 3)
            return OrderEvent(
                self.order_id, self.sequence, Status(status), at, msgspec.Raw(data.encode()), int(position)
            )
        except ValueError:
            return None


Notices: TypeAlias = list[Notice]

log = structlog.get_logger()


class Listener:
    """Calls `on_notice` with what each notification tells.

    Whenever LISTEN has been (re)established it calls `on_connected`: notifications from before are lost, so the
    owner reads the ledger again. Both callbacks run on the event loop and must not block.
    """

    def __init__(
        self, conninfo: str, *, on_notice: Callable[[Notices], None], on_connected: Callable[[], None]
    ) -> None:
        self._conninfo = conninfo
        self._on_notice = on_notice
        self._on_connected = on_connected
        self._backoff = Backoff("listener")
        self._task: asyncio.Task[None] | None = None
        self.is_listening = False

    async def __aenter__(self) -> Self:
        # Not waiting for the connection: what is missed until then is read after `on_connected`.
        self._task = asyncio.create_task(keep_running(self._listen, self._backoff), name="stream.listener")
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await stop(self._task)

    async def _listen(self) -> None:
        async with asyncio.timeout(CONNECT_SECONDS):
            connection = await connect(self._conninfo)
        connection.add_notify_handler(
            lambda told: self._take(told.payload)
        )  # what comes along with an answer
        try:
            with answering_within(connection, PROBE_SECONDS):
                await connection.execute(f"LISTEN {CHANNEL}")
            self._backoff.recovered()
            self.is_listening = True
            self._on_connected()
            while True:
                await _Hearing(connection, self._take).until_due()
                # A half-open connection stays silent for ever; only a question shows it.
                with answering_within(connection, PROBE_SECONDS):
                    await connection.execute("SELECT 1")
        finally:
            self.is_listening = False
            await connection.close()

    def _take(self, payload: str) -> None:
        try:
            notices = parse_payload(payload)
        except (ValueError, msgspec.ValidationError):
            log.warning("stream.malformed_notice", payload=payload[:200])
        else:
            self._on_notice(notices)


class _Hearing(Ear):
    """Passes on what a connection is told, without what a driver does for each notification."""

    def __init__(self, connection: Connection, take: Callable[[str], None]) -> None:
        super().__init__(connection.fileno())
        self._pgconn = connection.pgconn
        self._take = take
        self._lost: asyncio.Future[None] = self._loop.create_future()

    async def until_due(self) -> None:
        """Ends when a sign of life is due; raises what ended the connection, or what `take` raised."""
        self._open()
        self._read()  # what came right after an answer is here already
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(PROBE_EVERY):
                    await self._lost
        finally:
            self._close()
            del self._lost  # what it was told has this frame in its traceback: a ring for each connection

    def _read(self) -> bool:
        try:
            self._pgconn.consume_input()
            while (told := self._pgconn.notifies()) is not None:
                self._take(told.extra.decode())
        except Exception as error:  # noqa: BLE001  # whatever it is, the owner of the task hears of it
            self._close()
            if not self._lost.done():
                self._lost.set_exception(error)
            return False
        return True


def parse_payload(payload: str) -> Notices:
    """What the lines `uuid:sequence` and `uuid:sequence position status time data` tell.

    Raises ValueError or msgspec.ValidationError.
    """
    notices = []
    for line in payload.split("\n"):
        name, _, rest = line.partition(" ")
        order_id, _, sequence = name.partition(":")
        notices.append(Notice(msgspec.convert(order_id, UUID), int(sequence), rest))
    return notices

"""The LISTEN connection survives its own end, silence, nonsense, and a database that is not there yet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import msgspec
import pytest
from structlog.testing import capture_logs

from app.orders.lifecycle import Status
from app.orders.model import OrderEvent
from app.storage.database import connect, conninfo
from app.stream import listener as listener_module
from app.stream.listener import Listener, Notice, Notices, parse_payload
from app.stream.supervision import Backoff, keep_running, stop
from tests.support.wire import Wire

from .support import listening_backends, terminate, until

ORDER = UUID("0192f0c1-0000-7000-8000-000000000001")


class _Heard:
    def __init__(self) -> None:
        self.pairs: list[tuple[UUID, int]] = []
        self.connections = 0

    def take(self, notices: Notices) -> None:
        self.pairs += [(notice.order_id, notice.sequence) for notice in notices]

    def connected(self) -> None:
        self.connections += 1

    @asynccontextmanager
    async def listening(self, conninfo: str) -> AsyncIterator[Listener]:
        async with Listener(conninfo, on_notice=self.take, on_connected=self.connected) as listener:
            yield listener


async def notify(url: str, payload: str) -> None:
    connection = await connect(url)
    await connection.execute("SELECT pg_notify('order_events', %s)", (payload,))
    await connection.close()


async def test_a_terminated_connection_is_replaced(database_url: str) -> None:
    heard = _Heard()
    async with heard.listening(conninfo(database_url, "listen")):
        for round_ in range(1, 4):
            await until(lambda: heard.connections == round_)  # noqa: B023  # awaited before the next round
            await notify(database_url, f"{ORDER}:{round_}")
            await until(lambda: len(heard.pairs) == round_)  # noqa: B023
            await terminate(database_url, await listening_backends(database_url))
    assert heard.pairs == [(ORDER, 1), (ORDER, 2), (ORDER, 3)]


async def test_a_connection_that_answers_nothing_is_replaced(
    database_url: str, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "PROBE_EVERY", 0.1)
    monkeypatch.setattr(listener_module, "PROBE_SECONDS", 2.0)
    heard = _Heard()
    async with heard.listening(wire.through(conninfo(database_url, "listen"))) as listener:
        await until(lambda: heard.connections == 1)
        wire.freeze()
        await until(lambda: not listener.is_listening)
        wire.mend()
        await until(lambda: heard.connections == 2)
        await notify(database_url, f"{ORDER}:7")
        await until(lambda: heard.pairs == [(ORDER, 7)])


async def test_a_database_that_is_not_there_yet_is_waited_for(database_url: str, wire: Wire) -> None:
    wire.cut()
    heard = _Heard()
    with capture_logs() as logs:
        async with heard.listening(wire.through(conninfo(database_url, "listen"))):
            await until(lambda: wire.accepted >= 3)
            assert heard.connections == 0
            wire.mend()
            await until(lambda: heard.connections == 1)
    # One line when the outage begins and one when it ends, however many tries there were.
    assert [line["event"] for line in logs] == ["stream.lost", "stream.recovered"]


@pytest.mark.parametrize(
    "payload",
    ["", "nonsense", f"{ORDER}", f"{ORDER}:", f"{ORDER}:x", "not-a-uuid:1", f"{ORDER}:1\n\n"],
)
async def test_a_malformed_notification_is_logged_and_the_next_one_heard(
    database_url: str, payload: str
) -> None:
    heard = _Heard()
    with capture_logs() as logs:
        async with heard.listening(conninfo(database_url, "listen")):
            await until(lambda: heard.connections == 1)
            await notify(database_url, payload)
            await notify(database_url, f"{ORDER}:2")
            await until(lambda: heard.pairs == [(ORDER, 2)])
    assert [line["event"] for line in logs] == ["stream.malformed_notice"]


async def test_a_callback_that_fails_does_not_end_the_listening(database_url: str) -> None:
    heard: Notices = []

    def take(notices: Notices) -> None:
        heard.extend(notices)
        if len(heard) == 1:
            raise RuntimeError("a bug")

    connections: list[None] = []
    async with Listener(
        conninfo(database_url, "listen"), on_notice=take, on_connected=lambda: connections.append(None)
    ):
        for sequence in (1, 2):
            await until(lambda: len(connections) == sequence)  # noqa: B023  # awaited before the next round
            await notify(database_url, f"{ORDER}:{sequence}")
            await until(lambda: len(heard) == sequence)  # noqa: B023


def test_a_payload_names_many_events_and_brings_those_that_fit() -> None:
    other = UUID(int=7)
    event = OrderEvent(
        other, 23, Status.ROUTING, "2026-11-20T09:00:00.000Z", msgspec.Raw(b'{"attempt": 1}'), position=5
    )

    alone, whole = parse_payload(f'{ORDER}:1\n{other}:23 5 routing 2026-11-20T09:00:00.000Z {{"attempt": 1}}')
    assert (alone, alone.event()) == (Notice(ORDER, 1), None)
    assert (whole.order_id, whole.sequence, whole.event()) == (other, 23, event)


@pytest.mark.parametrize("rest", ["5", "5 routing", "5 routing now", "5 lost now {}", "x routing now {}"])
def test_an_event_that_cannot_be_understood_is_left_to_the_ledger(rest: str) -> None:
    [notice] = parse_payload(f"{ORDER}:2 {rest}")
    assert (notice.order_id, notice.sequence, notice.event()) == (ORDER, 2, None)


async def test_a_supervised_loop_outlives_errors_and_stray_cancellations() -> None:
    steps = 0

    async def step() -> None:
        nonlocal steps
        steps += 1
        if steps == 1:
            raise RuntimeError("a bug")
        if steps == 2:
            raise asyncio.CancelledError  # nobody asked for it
        await asyncio.sleep(0)

    task = asyncio.create_task(keep_running(step, Backoff("test")))
    await until(lambda: steps > 3)
    await stop(task)
    assert task.cancelled()

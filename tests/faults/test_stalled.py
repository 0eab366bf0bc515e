"""Watchers that stop reading: 8, too."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import Any, Final
from uuid import UUID

import pytest

from app.orders.failures import Failure, FailureCode
from app.orders.lifecycle import Status
from app.storage.moves import failing
from tests.e2e.clients import until
from tests.e2e.programs import Program
from tests.faults.client import clients
from tests.faults.staller import Staller, as_they_fill
from tests.faults.test_watchers import resident
from tests.faults.trial import Scenario, Stage, Trial, counted
from tests.support.books import Books, a_move
from tests.support.processes import linux_only

pytestmark = linux_only

STALLED: Final = Scenario(
    8,
    "watchers that stop reading",
    "WebSocket clients with tiny buffers stop reading in mid-stream while events keep coming; 6 s later they read on,"
    " find the end, and resume",
    "each closed with 1013 ≤ 5 s after its buffers were full; RSS growth < 20 MiB; all transcripts = ledger",
)
MOST_GROWTH: Final = 20.0  # MiB
READ: Final = 2  # events before it stops
LONG: Final = (
    "x" * 16_000
)  # the events of a real order are hundreds of bytes, and all of them fit into the buffers
CLOSED_WITHIN: Final = 5.0  # seconds
PAUSE: Final = 0.1  # between two attempts of an order
NO_MORE: Final = Failure(FailureCode.VENUE_UNAVAILABLE, "no attempt is left")


class Story:
    """Orders whose attempts fail one after the other, with much to say; told by the test instead of a worker."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._worker = 0
        self._is_over = False
        self.orders: list[UUID] = []

    async def begin(self, count: int) -> None:
        self._worker = await self._books.a_worker()
        self.orders = [await self._books.accept() for _ in range(count)]

    async def go_on(self, pause: float) -> None:
        """Attempt after attempt, until the end."""
        while not self._is_over:
            for order_id in self.orders:
                await self._attempt(order_id, Status.RETRYING)
                await self._books.make_due(order_id)
            await asyncio.sleep(pause)

    async def end(self, telling: asyncio.Task[None]) -> None:
        self._is_over = True
        await telling  # no attempt is left half told
        for order_id in self.orders:
            await self._attempt(order_id, Status.FAILED, **failing(NO_MORE))

    async def _attempt(self, order_id: UUID, outcome: Status, **known: Any) -> None:
        claimed = await self._books.claim(order_id, self._worker)
        await self._books.ledger.move(a_move(claimed, outcome, data={"message": LONG}, **known))


async def stall(trial: Trial) -> None:
    count = trial.scale.pick(100, 200)
    [api] = await trial.start_apis(1)
    async with AsyncExitStack() as stack:
        story = Story(await stack.enter_async_context(Books(trial.database_url)))
        await story.begin(4)
        ids = [str(order_id) for order_id in story.orders]
        trial.journal.placed.update(ids)
        them = await stack.enter_async_context(clients(trial.journal, [api.url]))
        readers = [them.watch(order_id) for order_id in ids]
        telling = stack.enter_context(ended_at_exit(asyncio.create_task(story.go_on(PAUSE))))
        await until(lambda: all(len(reader.steps) > READ for reader in readers))
        before = resident(api.program)
        stallers = await begin_stalling(stack, count, ids, api.url)
        largest = await expect_closes(trial, stallers, api.program)
        growth = max(largest, resident(api.program)) - before
        for staller in stallers:
            them.resume(staller.transcript)
        await story.end(telling)
        await them.watched(30)
        missed = [reader for reader in readers if set(reader.closes) != {1000}]
    trial.note("watchers that stalled", count)
    trial.note("RSS growth of the API process, MiB", growth)
    trial.expect(growth < MOST_GROWTH, f"the API process grew by {growth:.1f} MiB")
    trial.expect(not missed, f"{len(missed)} watchers that did read were cut off")


async def begin_stalling(stack: AsyncExitStack, count: int, ids: list[str], url: str) -> list[Staller]:
    stallers = [Staller(ids[number % len(ids)], url) for number in range(count)]
    for staller in stallers:
        stack.callback(staller.close)
    async with asyncio.timeout(60):
        for staller in stallers:
            await staller.begin(READ)
    return stallers


async def expect_closes(trial: Trial, stallers: list[Staller], api: Program) -> float:
    """Each reads on so many seconds after its buffers were full: had it not been closed by then, there would be more.

    One that was cut off was closed in time as well: that comes 5 s after a close frame which nobody fetches. On a busy
    machine some are that late. Answers the most memory that the process held meanwhile, in MiB.
    """
    patience = trial.scale.pick(CLOSED_WITHIN + 2, CLOSED_WITHIN)
    still_for = trial.scale.pick(4.0, 2.0)  # a pause of the API is not to pass for full buffers
    by_port = {staller.port: staller for staller in stallers}
    largest = 0.0
    async with asyncio.TaskGroup() as group:
        endings = []
        async for port, full_at in as_they_fill(by_port, still_for=still_for, within=60):
            largest = max(largest, resident(api))
            reading = read_on(trial, by_port[port], full_at + patience)
            endings.append(group.create_task(reading))
    codes = Counter(ending.result() for ending in endings)
    trial.note("closed with", counted(codes))
    fetched = trial.scale.pick(1, int(0.9 * len(stallers)))
    is_closed = codes.keys() <= {"1013", "cut off"} and codes["1013"] >= fetched
    trial.expect(is_closed, f"stalled watchers were closed with {codes}")
    return largest


async def read_on(trial: Trial, staller: Staller, at: float) -> str:
    await asyncio.sleep(at - time.monotonic())
    trial.journal.transcripts.append(staller.transcript)
    with suppress(TimeoutError):
        async with asyncio.timeout(15):
            return str(await staller.read_on() or "cut off")
    return "open still"


@contextmanager
def ended_at_exit(task: asyncio.Task[None]) -> Iterator[asyncio.Task[None]]:
    try:
        yield task
    finally:
        task.cancel()


@pytest.mark.timeout(400)
async def test_watchers_that_stop_reading_are_closed_and_can_resume(stage: Stage) -> None:
    async with stage.trial(STALLED) as trial:
        await stall(trial)
    assert trial.findings == []

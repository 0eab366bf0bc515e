"""The sweep: every trouble of the venues, and a process that dies at every await of the engine in turn."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final, NamedTuple
from uuid import UUID

import pytest

from app.execution import settlement
from app.execution.engine import Engine
from app.execution.steps import Steps
from app.jobs import tasks
from app.orders.lifecycle import FINAL
from app.storage.database import conninfo
from app.storage.ledger import Ledger
from app.venues.simulated.chain import Chain
from app.venues.simulated.market import Market
from tests.builders import a_request
from tests.faults.venues.process import Died, Process
from tests.faults.venues.protocols import Protocol
from tests.faults.venues.scripted import scripted_venues
from tests.faults.venues.troubles import Trouble, Way
from tests.support.books import Books

TOLERANT: Final = 500  # bps: no order fails because the price moves
MISSED: Final = 0.45  # seconds until a dead process is missed; more than a slot: what is signed anew is another transaction
SEED: Final = 0
LANDING_MS: Final = 20
SLOT_MS: Final = 20
MAX_ATTEMPTS: Final = 100
IN_FLIGHT: Final = 48
WAVE: Final = 16
MACHINES: Final = 4
MOST_AWAITS: Final = 400  # an engine that needs more never ends


class Machine(NamedTuple):
    """What a process has of its own: its ways to the ledger and to the chain."""

    ledger: Ledger
    chain: Chain


class Life(NamedTuple):
    """How one process comes to its end: at this await, and whether what it asked for there still leaves the house."""

    awaits: int
    is_sent: bool


FOR_EVER: Final = Life(0, is_sent=True)


class Run(NamedTuple):
    """What became of an order whose processes died."""

    way: Way
    lives: Sequence[Life]
    order_id: UUID
    deaths: int  # that were reached
    awaits: int  # of the first process
    seconds: float  # from the last death to the end
    trouble: str  # what kept it from ending

    def __str__(self) -> str:
        died = ", ".join(f"{life.awaits} {'sent' if life.is_sent else 'unsent'}" for life in self.lives)
        return f"{self.way.trouble.name}, died at await {died} {self.trouble}".rstrip()


class Worker:
    """A worker with a process of its own, which drives one order as `app.jobs` does."""

    def __init__(self, books: Books, engine: Engine, process: Process) -> None:
        self._books = books
        self._engine = engine
        self.process = process
        self.number = 0

    async def finish(self, order_id: UUID) -> None:
        """To the order's end; times to wait for the next attempt are skipped. Raises Died."""
        self.number = await self._books.a_worker()
        while await self._books.status(order_id) not in FINAL:
            await self._books.make_due(order_id)
            await self.process.run(tasks._drive(self._engine, order_id, self.number))

    async def die(self) -> None:
        """It is missed after a while."""
        await asyncio.sleep(MISSED)
        await self._books.bury(self.number)


class Sweep:
    """`patience`: seconds within which an order has to end after the last death."""

    def __init__(
        self,
        books: Books,
        machines: Sequence[Machine],
        *,
        seed: int,
        patience: float,
        steps: type[Steps] | None = None,
    ) -> None:
        self._books = books
        self._machines = machines
        self._chance = random.Random(seed)
        self._patience = patience
        self._steps = steps
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self.runs: list[Run] = []

    async def every_await(
        self, trouble: Trouble, lives: Callable[[int], Sequence[Sequence[Life]]], *, burden: int = 0
    ) -> int:
        """Deaths at await 1, 2, 3 … until a process ends without dying; how many awaits there were.

        `lives` makes the processes of each run out of the number of the await; `burden`: deaths that the order had.
        """
        first = 1
        while first < MOST_AWAITS:
            wave = [life for number in range(first, first + WAVE) for life in lives(number)]
            runs = await asyncio.gather(*(self.run(trouble, life, burden=burden) for life in wave))
            if any(run.trouble or not run.deaths for run in runs):  # one that is stuck is enough
                return max(run.awaits for run in runs)
            first += WAVE
        return first

    async def run(self, trouble: Trouble, lives: Sequence[Life], *, burden: int = 0) -> Run:
        """One order: these processes begin it, each dies, and one that lives ends it."""
        async with self._slots:
            way = Way(trouble, self._chance)
            order_id = await self._books.accept(a_request(slippage_bps=TOLERANT))
            if burden:
                await self._books.ask("UPDATE orders SET deaths = %s WHERE id = %s", burden, order_id)
            processes: list[Process] = []
            ended = False
            try:
                for life in lives:
                    processes.append(await self._live(way, order_id, life))
                    ended = not processes[-1].is_dead
                    if ended:
                        break
                began = time.monotonic()
                stuck = "" if ended else await self._end(way, order_id)
            finally:
                for process in processes:
                    await process.bury()
                await way.close()
            deaths = sum(process.is_dead for process in processes)
            seconds = time.monotonic() - began
            run = Run(way, lives, order_id, deaths, processes[0].awaits, seconds, stuck)
            self.runs.append(run)
            return run

    async def _live(self, way: Way, order_id: UUID, life: Life) -> Process:
        """One process; when it returns it is dead and missed, or the order has ended."""
        worker = self._worker(way, life)
        with suppress(Died, TimeoutError):
            async with asyncio.timeout(self._patience):
                await worker.finish(order_id)
        if worker.process.is_dead:
            await worker.die()
        return worker.process

    async def _end(self, way: Way, order_id: UUID) -> str:
        """The last process ends the order; what was wrong with that."""
        worker = self._worker(way, FOR_EVER)
        try:
            async with asyncio.timeout(self._patience):
                await worker.finish(order_id)
        except Exception as error:  # noqa: BLE001  # whatever it is, the order has not ended
            return repr(error)
        return ""

    def _worker(self, way: Way, life: Life) -> Worker:
        def withhold(awaited: object) -> None:
            if isinstance(awaited, asyncio.Future) and not life.is_sent:
                awaited.cancel()

        ledger, chain = self._chance.choice(self._machines)
        venues = scripted_venues(chain, way)
        engine = Engine(
            ledger,
            venues.all,
            max_attempts=MAX_ATTEMPTS,
            concurrency=1,
            publish=lambda _event: None,
            admit=_at_once,
            choose=venues.choose,
        )
        if self._steps is not None:
            engine._steps.__class__ = self._steps
        return Worker(self._books, engine, Process(life.awaits, withhold))


async def _at_once(_order_id: UUID) -> float:
    await asyncio.sleep(0)
    return 0


@asynccontextmanager
async def machines(books: Books) -> AsyncIterator[list[Machine]]:
    url = conninfo(books.url, "venues")
    async with AsyncExitStack() as stack:
        yield [
            Machine(
                await stack.enter_async_context(books.a_ledger()),
                await stack.enter_async_context(
                    Chain(Market(SEED), url, execution_delay_ms=LANDING_MS, failure_rate=0, slot_ms=SLOT_MS)
                ),
            )
            for _ in range(MACHINES)
        ]


@asynccontextmanager
async def sweeping(
    url: str,
    *,
    seed: int,
    patience: float,
    protocol: Protocol,
) -> AsyncIterator[Sweep]:
    """A sweep over this database. Transactions live for a second here, not for a minute."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settlement, "RESEND_SECONDS", 0.1)
        patch.setattr(settlement, "LAST_POLL", 0.1)
        if protocol.look is not None:
            patch.setattr(settlement, "_look", protocol.look)
        async with Books(url) as books, machines(books) as them:
            yield Sweep(books, them, seed=seed, patience=patience, steps=protocol.steps)

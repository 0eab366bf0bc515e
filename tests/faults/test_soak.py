"""Everything breaks now and then, for a long time: 15."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from contextlib import AsyncExitStack, suppress
from statistics import linear_regression
from typing import Final, NamedTuple

import psycopg
import pytest

from app.dev.embedded import EmbeddedPostgres, EmbeddedValkey
from tests.e2e.premises import Api, Site
from tests.faults.client import Clients, clients
from tests.faults.operator import Operator
from tests.faults.test_watchers import LISTENERS, resident
from tests.faults.trial import Scenario, Stage, Trial, counted
from tests.support.processes import linux_only
from tests.support.wire import Flow, Wire, wire_to_postgres

pytestmark = linux_only

MINUTES: Final = float(os.environ.get("SOAK_MINUTES", "30"))
SOAK: Final = Scenario(
    15,
    "soak",
    f"{MINUTES:g} minutes of load, watchers that come and go, and one random fault after the other: processes killed,"
    " frozen and stopped, Postgres and Redis killed, the network to Postgres silent, LISTEN and WebSockets cut",
    "checker clean; the processes that live throughout do not grow; NOTIFY queue < 1 %",
)
RATE: Final = 8  # orders per second
WARM_UP: Final = (
    0.5  # of the time: bounded caches fill with the first few thousand orders, at about 700 bytes each
)
JUDGED_FROM: Final = 20.0  # minutes; a shorter soak is mostly that first growth, and only notes its slopes
SAMPLE_EVERY: Final = 2.0  # seconds
# By the straight line through all samples after the warm-up; what an allocator keeps after a busy moment. Over the 15
# minutes that are left of the whole soak it is 350 bytes per order: an order that stays behind in memory is more.
MOST_GROWTH: Final = 2.5  # MiB
FULLEST_QUEUE: Final = 0.01
STALE: Final = 6.0  # seconds of silence after which a worker counts as dead, and more
TOLD: Final = {200, 201, 429, 503}


class Sample(NamedTuple):
    """At a time in seconds, what the processes that live throughout hold, in MiB."""

    at: float
    api: float
    worker: float


class Weather:
    """The faults; whatever one breaks, it mends. The first API and the first worker are never ended."""

    def __init__(self, trial: Trial, site: Site, wire: Wire, operator: Operator) -> None:
        self._trial = trial
        self._site = site
        self._wire = wire
        self._operator = operator
        self.apis: list[Api] = []
        self.seen: Counter[str] = Counter()

    async def rage(
        self, seconds: float, them: Clients, postgres: EmbeddedPostgres, valkey: EmbeddedValkey
    ) -> None:
        kinds = (
            ("worker killed", lambda _: self._end_worker(signal.SIGKILL)),
            ("worker stopped", lambda _: self._end_worker(signal.SIGTERM)),
            ("workers frozen", self._freeze),
            ("API killed", lambda _: self._end_api(signal.SIGKILL)),
            ("API stopped", lambda _: self._end_api(signal.SIGTERM)),
            ("Postgres killed", lambda lasts: self._lose(postgres, lasts / 2)),
            ("Redis killed", lambda lasts: self._lose(valkey, lasts)),
            ("network silent", lambda lasts: self._silence(Flow.BLACKHOLE, lasts)),
            ("network half-open", lambda lasts: self._silence(Flow.HALF_OPEN, lasts)),
            ("streams cut", lambda _: self._cut(them)),
        )
        ends = time.monotonic() + seconds
        faults = self._trial.plan.faults(
            max(1, int(seconds / 6)), after=(2, 6), targets=len(kinds), lasts=(1, 8)
        )
        for fault in faults:
            if time.monotonic() + fault.after > ends:
                break
            await asyncio.sleep(fault.after)
            name, happens = kinds[fault.target]
            await happens(fault.lasts)
            self.seen[name] += 1
        await asyncio.sleep(max(0, ends - time.monotonic()))

    async def _end_worker(self, by: signal.Signals) -> None:
        """One of those that need not live."""
        workers = self._trial.workers
        victim = workers.pop(1)
        victim.send(by)
        await asyncio.to_thread(victim.ended)
        workers.append(self._site.start_worker())

    async def _freeze(self, lasts: float) -> None:
        """All but one."""
        frozen = self._trial.workers[:-1]
        for worker in frozen:
            worker.send(signal.SIGSTOP)
        await asyncio.sleep(STALE + lasts / 4)
        for worker in frozen:
            worker.send(signal.SIGCONT)

    async def _end_api(self, by: signal.Signals) -> None:
        self.apis[1].program.send(by)
        await asyncio.to_thread(self.apis[1].program.ended)
        self.apis[1] = self._site.start_again(self.apis[1])

    async def _lose(self, server: EmbeddedPostgres | EmbeddedValkey, lasts: float) -> None:
        await self._operator.does(server.stop_immediately)
        await asyncio.sleep(lasts)
        await self._operator.does(server.start)

    async def _silence(self, flow: Flow, lasts: float) -> None:
        self._wire.turn(flow)
        await asyncio.sleep(2 * lasts)
        self._wire.turn(Flow.FREE)

    async def _cut(self, them: Clients) -> None:
        them.cut(20)
        with suppress(psycopg.OperationalError):
            self._trial.books.rows(LISTENERS)


async def soak(trial: Trial, postgres: EmbeddedPostgres, valkey: EmbeddedValkey, operator: Operator) -> None:
    seconds = MINUTES * 60
    async with AsyncExitStack() as stack:
        wire = await stack.enter_async_context(wire_to_postgres(trial.database_url))
        site = stack.enter_context(trial.site_at(wire.through_url(trial.database_url)))
        weather = Weather(trial, site, wire, operator)
        weather.apis = await trial.start_apis(2, site)
        trial.workers = [site.start_worker() for _ in range(3)]
        for worker in trial.workers:
            await trial.at_work(worker)
        urls = [api.url for api in weather.apis]
        them = await stack.enter_async_context(clients(trial.journal, urls, watch_every=4, leaving=1))
        load = asyncio.create_task(them.load(int(RATE * seconds), seconds))
        samples: list[Sample] = []
        watching = asyncio.create_task(watch(trial, weather.apis[0], samples))
        await weather.rage(seconds, them, postgres, valkey)
        watching.cancel()
        await load
        await trial.ended_within(60)
        await them.watched(30)
    trial.note("faults", counted(weather.seen))
    odd = {status: n for status, n in trial.journal.statuses.items() if isinstance(status, int)}
    trial.expect(odd.keys() <= TOLD, f"clients were told {odd}")
    expect_no_growth(trial, samples)


async def watch(trial: Trial, api: Api, samples: list[Sample]) -> None:
    """The memory of the two that live throughout, and the fullest that the queue of notifications is; until cancelled."""
    worker = trial.workers[0]
    fullest = 0.0
    while True:
        samples.append(Sample(time.monotonic(), resident(api.program), resident(worker)))
        with suppress(psycopg.OperationalError):
            [(usage,)] = await asyncio.to_thread(trial.books.rows, "SELECT pg_notification_queue_usage()")
            fullest = max(fullest, usage)
        trial.facts["NOTIFY queue, fullest"] = f"{fullest:.4%}"
        trial.expect(fullest < FULLEST_QUEUE, f"the NOTIFY queue was {fullest:.1%} full")
        await asyncio.sleep(SAMPLE_EVERY)


def expect_no_growth(trial: Trial, samples: list[Sample]) -> None:
    warm = samples[int(len(samples) * WARM_UP) :]
    times = [sample.at for sample in warm]
    span = times[-1] - times[0]
    for name, sizes in (
        ("API", [sample.api for sample in warm]),
        ("worker", [sample.worker for sample in warm]),
    ):
        growth = linear_regression(times, sizes).slope * span
        course = [f"{size:.1f}" for size in sizes[:: max(1, len(sizes) // 10)]]
        trial.note(f"RSS of the {name}, MiB", " → ".join(course))
        trial.note(f"RSS slope of the {name}, MiB in 10 min", f"{growth / span * 600:+.2f}")
        is_judged = MINUTES >= JUDGED_FROM
        trial.expect(
            growth < MOST_GROWTH or not is_judged,
            f"the {name} grew by {growth:.1f} MiB in {span / 60:.0f} min",
        )


@pytest.mark.only_full
@pytest.mark.timeout(MINUTES * 60 + 300)
async def test_a_long_time_of_faults_leaves_nothing_behind(
    stage: Stage, postgres: EmbeddedPostgres, valkey: EmbeddedValkey, operator: Operator
) -> None:
    async with stage.trial(SOAK, database_url=postgres.url, redis_url=valkey.url) as trial:
        await soak(trial, postgres, valkey, operator)
    assert trial.findings == []

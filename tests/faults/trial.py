"""A trial: one run of a scenario on real processes, and what came of it."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from tests.e2e.ledger import Books
from tests.e2e.premises import Api, Site
from tests.e2e.programs import Launcher, Program, launching
from tests.faults.inspection import inspect
from tests.faults.journal import Journal
from tests.faults.plan import Plan, Scale

RESULTS: Final = "FAULTS_RESULTS"  # the folder for what trials came to
POLL: Final = 0.1
SLACK: Final = 3.0  # times the bounds of the table
STARTED: Final = "worker.started"

# What docs/operations.md calls faults of the program: whatever is broken, none is expected in a log.
FAULTS_OF_THE_PROGRAM: Final = (
    "lane.failed",
    "order.engine_failed",
    "request.failed",
    "stream.failed",
    "stream.gap",
    "tally.failed",
    "venue.quote_failed",
    "venue.quote_stuck",
    "worker.stop_timed_out",
)

# Slow enough that orders are caught at every stage, with failures that lead to second attempts.
MARKET: Final = {
    "MOCK_DEX_QUOTE_DELAY_MS": "200",
    "MOCK_DEX_EXECUTION_DELAY_MS": "1200",
    "MOCK_DEX_FAILURE_RATE": "0.05",
    "API_MAX_ORDERS_PER_MIN": "0",
}


class Scenario(NamedTuple):
    """A row of the table: what is broken, and what counts as passed."""

    number: int
    name: str
    broken: str
    passes: str


class Trial:
    def __init__(
        self,
        scenario: Scenario,
        plan: Plan,
        *,
        scale: Scale,
        launcher: Launcher,
        folder: Path,
        database_url: str,
        redis_url: str,
        twin: str,
    ) -> None:
        self.scenario = scenario
        self.plan = plan
        self.scale = scale
        self.site = Site(launcher, database_url, redis_url)
        self.database_url = database_url
        self._redis_url = redis_url
        self._folder = folder
        self.journal = Journal()
        self.twin = twin  # the guard that is taken away; empty: none
        self.findings: list[str] = []
        self.facts: dict[str, str] = {}
        self.workers: list[Program] = []

    @property
    def books(self) -> Books:
        return self.site.books

    def note(self, name: str, value: object) -> None:
        """A number for the report."""
        self.facts[name] = f"{value:.1f}" if isinstance(value, float) else str(value)

    def expect(self, holds: object, otherwise: str) -> None:
        """A finding, unless it holds."""
        if not holds:
            self.findings.append(otherwise)

    async def start_workers(self, count: int, **settings: str) -> None:
        """Workers that take orders already."""
        self.workers = [self.site.start_worker(**settings) for _ in range(count)]
        for worker in self.workers:
            await self.at_work(worker)

    async def at_work(self, worker: Program, *, within: float = 60.0) -> None:
        async with asyncio.timeout(within):
            while not worker.said(STARTED):  # noqa: ASYNC110  # it happens in another process
                await asyncio.sleep(POLL)

    @contextmanager
    def site_at(self, database_url: str) -> Iterator[Site]:
        """The same database by another address."""
        with closing(Site(self.site.launcher, database_url, self._redis_url)) as site:
            yield site

    async def start_apis(self, count: int, site: Site | None = None, **settings: str) -> list[Api]:
        """API processes that serve already."""
        apis = [(site or self.site).start_api(**settings) for _ in range(count)]
        for api in apis:
            await self.serving(api)
        return apis

    async def serving(self, api: Api, *, within: float = 60.0) -> None:
        async with asyncio.timeout(within):
            while not api.program.said("api.started"):  # noqa: ASYNC110  # it happens in another process
                await asyncio.sleep(POLL)

    def bound(self, seconds: float) -> float:
        """What the table promises, at full scale; the short form runs beside other tests, on whatever machine."""
        return seconds * self.scale.pick(SLACK, 1.0)

    async def ended_within(
        self, seconds: float, *, patience: float = 1.0, since: float | None = None
    ) -> None:
        """Measures how long it takes until all orders have ended, and expects it to be at most so long.

        Counts from `since`, or from now on, by the monotonic clock. Waits no longer than `patience` times the bound: a
        twin need not wait for what never comes.
        """
        began = time.monotonic() if since is None else since
        most = self.bound(seconds)
        while not await asyncio.to_thread(self.books.all_ended):
            if time.monotonic() - began > most * patience:
                self.findings.append(f"not all orders had ended after {most} s")
                return
            await asyncio.sleep(POLL)
        took = time.monotonic() - began
        self.note("all ended after, s", took)
        self.expect(took < most, f"the orders took {took:.1f} s to end")

    async def close(self) -> None:
        """The inspection that ends every trial, and its record."""
        self.findings += await inspect(self.database_url, self.journal)
        self.findings += self._said_in_logs()
        self.note("orders", sum(self.books.statuses().values()))
        self.note("ended as", counted(self.books.statuses()))
        failures = self.books.rows(
            "SELECT failure_code, count(*) FROM orders WHERE failure_code IS NOT NULL GROUP BY 1"
        )
        self.note("failures", counted(dict(failures)) or "none")
        self.note("transcripts", len(self.journal.transcripts))
        if self.journal.answers:
            self.note("answers", counted(self.journal.statuses))

    def _said_in_logs(self) -> list[str]:
        logs = {path.stem: path.read_text("utf-8", "replace") for path in self._folder.glob("*.log")}
        said = {
            fault: [name for name, text in logs.items() if fault in text] for fault in FAULTS_OF_THE_PROGRAM
        }
        return [f"logged {fault}: {', '.join(names)}" for fault, names in said.items() if names]


class Stage:
    """Where trials take place: their servers, seed and scale."""

    def __init__(self, folder: Path, database_url: str, redis_url: str, *, seed: int, scale: Scale) -> None:
        self._folder = folder
        self.database_url = database_url
        self._redis_url = redis_url
        self._seed = seed
        self.scale = scale

    @asynccontextmanager
    async def trial(
        self,
        scenario: Scenario,
        *,
        database_url: str | None = None,
        redis_url: str | None = None,
        twin: str = "",
        **settings: str,
    ) -> AsyncIterator[Trial]:
        """A trial that is inspected and recorded at the end; its processes are gone then."""
        plan = Plan(scenario.name, self._seed)
        began = time.monotonic()
        with launching(self._folder, **{**MARKET, **settings}) as launcher:
            database, redis = database_url or self.database_url, redis_url or self._redis_url
            trial = Trial(
                scenario,
                plan,
                scale=self.scale,
                launcher=launcher,
                folder=self._folder,
                database_url=database,
                redis_url=redis,
                twin=twin,
            )
            with closing(trial.site):
                try:
                    yield trial
                except pytest.skip.Exception as error:  # what did not happen has not passed
                    trial.findings.append(f"not run: {error}")
                    raise
                except Exception as error:
                    trial.findings.append(f"the scenario broke off: {error!r}")
                    raise
                finally:
                    await trial.close()
                    _record(trial, time.monotonic() - began)


def counted(counts: Mapping[Any, int]) -> str:
    """How many of each, for people."""
    return ", ".join(f"{count} × {what}" for what, count in sorted(counts.items(), key=str))


def _record(trial: Trial, seconds: float) -> None:
    facts: dict[str, Any] = {
        **trial.scenario._asdict(),
        "twin": trial.twin,
        "scale": trial.scale,
        "seed": trial.plan.seed,
        "seconds": round(seconds, 1),
        "facts": trial.facts,
        "findings": trial.findings,
    }
    print(json.dumps(facts, indent=1, ensure_ascii=False))  # noqa: T201  # shown when the test fails
    if folder := os.environ.get(RESULTS):
        name = f"{trial.scenario.number:02}-{trial.scenario.name}-{trial.twin or 'real'}".replace(" ", "-")
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(folder, f"{name}.json").write_text(json.dumps(facts, ensure_ascii=False), "utf-8")

"""Watchers that come at once, leave, and are cut off: 8."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.premises import Api
from tests.e2e.programs import Program
from tests.faults.client import Clients, clients
from tests.faults.plan import Fault
from tests.faults.trial import Scenario, Stage, Trial
from tests.support.processes import linux_only

pytestmark = linux_only

WATCHERS: Final = Scenario(
    8,
    "watchers",
    "several watchers per order connect right after the POST, some leave, others are cut off; LISTEN connections are"
    " terminated; an API process is restarted and one is killed",
    "all transcripts = ledger; RSS growth < 20 MiB",
)
MOST_GROWTH: Final = 20.0  # MiB
LISTENERS: Final = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name = 'order-engine hub'"
)
# Long stories: many attempts fail.
LONG: Final = {"MOCK_DEX_FAILURE_RATE": "0.5", "MAX_ATTEMPTS": "4"}


async def watch_and_cut(trial: Trial) -> None:
    orders, cuts, terminations = trial.scale.pick((40, 20, 2), (200, 100, 5))
    faults = trial.plan.faults(terminations, after=(0.3, 1.5))
    apis = await trial.start_apis(3)
    await trial.start_workers(1)
    async with clients(trial.journal, [api.url for api in apis], watch_every=1, staying=2, leaving=3) as them:
        await them.load(20, 1, prefix="warm")
        before = resident(apis[0].program)
        await asyncio.gather(
            them.load(orders, 0, prefix="at once"),
            break_streams(trial, them, apis, cuts // terminations, faults),
        )
        await trial.ended_within(40)
        await them.watched(30)
    growth = resident(apis[0].program) - before
    trial.note("RSS growth of an API process, MiB", growth)
    trial.note("watchers that left early", sum(t.leaves_after is not None for t in trial.journal.transcripts))
    trial.expect(growth < MOST_GROWTH, f"an API process grew by {growth:.1f} MiB")


async def break_streams(trial: Trial, them: Clients, apis: list[Api], cuts: int, faults: list[Fault]) -> None:
    cut = ended = 0
    for fault in faults:
        await asyncio.sleep(fault.after)
        cut += them.cut(cuts)
        ended += len(trial.books.rows(LISTENERS))
    await replace(trial, apis, 1, signal.SIGTERM)
    await replace(trial, apis, 2, signal.SIGKILL)
    trial.note("streams cut", cut)
    trial.note("LISTEN connections terminated", ended)
    trial.expect(cut > 0 and ended > 0, "nothing was cut")


async def replace(trial: Trial, apis: list[Api], number: int, by: signal.Signals) -> None:
    apis[number].program.send(by)
    await asyncio.to_thread(apis[number].program.ended)
    apis[number] = trial.site.start_again(apis[number])


def resident(program: Program) -> float:
    """The process's resident memory in MiB."""
    status = Path(f"/proc/{program.pid}/status").read_text("utf-8")
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024


@pytest.mark.timeout(400)
async def test_every_watcher_sees_every_step_once_whatever_cuts_it_off(stage: Stage) -> None:
    async with stage.trial(WATCHERS, **LONG) as trial:
        await watch_and_cut(trial)
    assert trial.findings == []

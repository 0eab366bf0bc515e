"""Processes whose clocks are wrong by an hour: 10."""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.clients.conftest import missing
from tests.e2e.programs import Program
from tests.faults.client import clients
from tests.faults.test_stops import expect_no_delay
from tests.faults.trial import Scenario, Stage, Trial
from tests.support.processes import linux_only

pytestmark = linux_only

CLOCKS: Final = Scenario(
    10,
    "wrong clocks",
    "a worker's clock is an hour ahead, another's an hour behind, a third is right; one of two API processes is ahead",
    "no order delayed > 5 s; the events' times rise with their sequence; no attempt before its time or 5 s after it",
)
LIBRARY: Final = "libfaketimeMT.so.1"
SHIFTS: Final = {"+1h": 1.0, "-1h": -1.0, "": 0.0}  # hours
# Half of the attempts fail: many orders wait for the time of their next one, at most 2 s.
RETRYING: Final = {"MOCK_DEX_FAILURE_RATE": "0.5", "MAX_ATTEMPTS": "4"}
WRONG_ORDER: Final = (
    "SELECT order_id FROM (SELECT order_id, at, lag(at) OVER (PARTITION BY order_id ORDER BY sequence) AS before"
    " FROM order_events) AS steps WHERE at < before"
)
LATENESS: Final = (
    "SELECT extract(epoch FROM routing.at - (retrying.data ->> 'nextAttemptAt')::timestamptz)::float"
    " FROM order_events retrying JOIN order_events routing"
    " ON routing.order_id = retrying.order_id AND routing.sequence = retrying.sequence + 1"
    " WHERE retrying.status = 'retrying' AND routing.status = 'routing' ORDER BY 1"
)


def shifted(by: str) -> dict[str, str]:
    """The environment of a process whose clock on the wall is wrong by that much, and the monotonic one is not."""
    if not by:
        return {}
    return {"LD_PRELOAD": str(_library()), "FAKETIME": by, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def _library() -> Path:
    found = [path for folder in ("/usr/lib", "/usr/lib64") for path in Path(folder).glob(f"**/{LIBRARY}")]
    if not found and _can_be_installed():
        missing("libfaketime is not installed: apt-get install faketime")
    elif not found:
        pytest.skip("libfaketime is not installed")
    return found[0]


def _can_be_installed() -> bool:
    rehearsal = ["apt-get", "install", "--simulate", "faketime"]
    return (
        os.geteuid() == 0
        and shutil.which("apt-get") is not None
        and subprocess.run(rehearsal, capture_output=True, check=False).returncode == 0
    )


async def work_by_wrong_clocks(trial: Trial) -> None:
    orders, seconds = trial.scale.pick((60, 4), (1500, 60))
    apis = [*await trial.start_apis(1), *await trial.start_apis(1, None, **shifted("+1h"))]
    trial.workers = [trial.site.start_worker(**shifted(by)) for by in SHIFTS]
    for worker, hours in zip(trial.workers, SHIFTS.values(), strict=True):
        await trial.at_work(worker)
        trial.expect(
            abs(_hours_off(worker) - hours) < 0.1, f"the clock of {worker.name} is {_hours_off(worker)} h off"
        )
    async with clients(trial.journal, [api.url for api in apis], watch_every=5) as them:
        await them.load(orders, seconds)
        await trial.ended_within(30)
        await them.watched(30)
    expect_no_delay(trial)
    trial.expect(not trial.books.rows(WRONG_ORDER), "the times of an order's events fall")
    lateness = [seconds for (seconds,) in trial.books.rows(LATENESS)]
    trial.note("retries", len(lateness))
    trial.note("attempts after their time, s", f"{lateness[0]:.2f} … {lateness[-1]:.2f}")
    trial.expect(
        0 <= lateness[0] <= lateness[-1] < trial.bound(5),
        f"attempts came {lateness[0]} … {lateness[-1]} s after their time",
    )
    trial.expect(
        not trial.books.rows("SELECT id FROM orders WHERE deaths > 0"), "a worker was taken for dead"
    )


def _hours_off(program: Program) -> float:
    """By how much its clock, as its first log line shows it, differs from ours."""
    said = re.search(r"(\d{4}-\d\d-\d\dT[\d:.]+)Z", program.output)
    assert said is not None
    return (dt.datetime.fromisoformat(f"{said[1]}+00:00") - dt.datetime.now(dt.UTC)) / dt.timedelta(hours=1)


@pytest.mark.only_full
@pytest.mark.timeout(400)
async def test_clocks_that_are_wrong_delay_nothing(stage: Stage) -> None:
    async with stage.trial(CLOCKS, **RETRYING) as trial:
        await work_by_wrong_clocks(trial)
    assert trial.findings == []

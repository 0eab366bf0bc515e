"""Every process stopped in turn, as an upgrade does it: 9."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Final

import pytest

from app.processes.keeper import GRACE
from tests.e2e.premises import Api
from tests.e2e.programs import Program
from tests.faults.client import Clients, clients
from tests.faults.trial import Scenario, Stage, Trial
from tests.support.processes import linux_only

pytestmark = linux_only

ROLLING: Final = Scenario(
    9,
    "rolling restarts",
    "SIGTERM of every process in turn, its successor started first, round after round under load",
    "0 failed POSTs for a client that retries; exit code 0 within the grace; no order aborted or delayed > 5 s",
)
MOST_DELAYED: Final = 5.0  # seconds beyond what the order's own attempts take
MISSED_AFTER: Final = 4.0  # seconds


async def roll(trial: Trial) -> None:
    rounds, rate, pause = trial.scale.pick((1, 12, 0.5), (10, 25, 1.0))
    apis = await trial.start_apis(2)
    await trial.start_workers(2)
    is_over = asyncio.Event()
    async with clients(trial.journal, [api.url for api in apis], watch_every=4) as them:
        load = asyncio.create_task(keep_loading(them, rate, is_over))
        for _ in range(rounds):
            for number in range(2):
                apis[number] = await replace_api(trial, apis[number])
                await replace_worker(trial, number)
                await asyncio.sleep(pause)
        is_over.set()
        await load
        await trial.ended_within(15)
        await them.watched(30)
    trial.note("processes stopped", 4 * rounds)
    longest = expect_no_delay(trial)
    deaths = trial.books.rows("SELECT id FROM orders WHERE deaths > 0")
    # A worker that this machine lets pause for longer than that is missed; not at full scale.
    was_missed = trial.scale.pick(longest > MISSED_AFTER, False)
    trial.expect(was_missed or not deaths, f"{len(deaths)} orders were taken for those of dead workers")


async def keep_loading(them: Clients, rate: int, is_over: asyncio.Event) -> None:
    second = 0
    while not is_over.is_set():
        await them.load(rate, 1.0, prefix=f"second-{second}")
        second += 1


async def replace_api(trial: Trial, api: Api) -> Api:
    """The successor answers on the same socket before its predecessor stops."""
    successor = trial.site.start_again(api)
    await trial.serving(successor)
    await stop(trial, api.program)
    return successor


async def replace_worker(trial: Trial, number: int) -> None:
    predecessor, successor = trial.workers[number], trial.site.start_worker()
    await trial.at_work(successor)
    trial.workers[number] = successor
    await stop(trial, predecessor)


async def stop(trial: Trial, program: Program) -> None:
    began = time.monotonic()
    program.send(signal.SIGTERM)
    code = await asyncio.to_thread(program.ended, within=3 * GRACE)
    seconds = time.monotonic() - began
    trial.expect(code == 0, f"{program.name} ended with {code}")
    trial.expect(seconds < trial.bound(GRACE), f"{program.name} took {seconds:.1f} s to stop")
    longest = max(seconds, float(trial.facts.get("longest stop, s", 0)))
    trial.note("longest stop, s", longest)


def expect_no_delay(trial: Trial) -> float:
    """No order stood still for longer than a step takes: the longest, in seconds, is the transaction's way to the chain."""
    [(longest,)] = trial.books.rows(
        "SELECT extract(epoch FROM max(at - before))::float FROM (SELECT at, previous,"
        " lag(at) OVER (PARTITION BY order_id ORDER BY sequence) AS before FROM order_events) AS steps"
    )
    trial.note("longest step of an order, s", longest)
    trial.expect(longest < trial.bound(MOST_DELAYED), f"an order stood still for {longest:.1f} s")
    return float(longest)


@pytest.mark.timeout(400)
async def test_restarts_of_every_process_in_turn_go_unnoticed(stage: Stage) -> None:
    async with stage.trial(ROLLING) as trial:
        await roll(trial)
    assert trial.findings == []

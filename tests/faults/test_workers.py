"""Workers that are killed or frozen under load: 1 and 2."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import Final

import pytest

from tests.faults.client import clients
from tests.faults.plan import Fault
from tests.faults.trial import Scenario, Stage, Trial
from tests.support.processes import linux_only

pytestmark = linux_only

KILLS: Final = Scenario(
    1,
    "workers killed",
    "kill -9 of one of two workers, which is started again, while orders come in",
    "0 lost, 0 double, 0 gaps; all ended 15 s after the last kill",
)
FREEZES: Final = Scenario(
    2,
    "workers frozen",
    "SIGSTOP of workers for longer than the 5 s after which they count as dead; several at a time",
    "0 double",
)
# So many attempts fail that a worker wakes up when its order's next attempt is under way.
HARD_MARKET: Final = {
    "MOCK_DEX_FAILURE_RATE": "0.5",
    "MOCK_DEX_EXECUTION_DELAY_MS": "2500",
    "MAX_ATTEMPTS": "8",
}


async def kill_workers(trial: Trial, *, patience: float = 1.0) -> None:
    orders, seconds, kills = trial.scale.pick((150, 8, 3), (5000, 64, 20))
    faults = trial.plan.faults(kills, after=(0.7 * seconds / kills, 1.1 * seconds / kills), targets=2)
    api, *_ = await trial.start_apis(1)
    await trial.start_workers(2)
    async with clients(trial.journal, [api.url], watch_every=10) as them:
        load = asyncio.create_task(them.load(orders, seconds))
        for fault in faults[:-1]:
            await asyncio.sleep(fault.after)
            await kill(trial, fault)
        await load
        await kill(trial, faults[-1])
        await trial.ended_within(15, patience=patience)
        await them.watched(30 * patience)
    trial.note("kills", kills)
    trial.expect(trial.facts["orders held by the killed, least"] != "0", "a kill hit nobody's orders")


async def kill(trial: Trial, fault: Fault) -> None:
    """Kills a worker that holds orders, and starts another in its place."""
    worker = trial.workers[fault.target]
    await trial.at_work(worker)
    with suppress(TimeoutError):
        async with asyncio.timeout(5):
            while not trial.books.number_held():  # noqa: ASYNC110  # it happens in other processes
                await asyncio.sleep(0.02)
    worker.send(signal.SIGKILL)
    worker.ended()
    held = trial.books.number_held()
    least = min(held, int(trial.facts.get("orders held by the killed, least", held)))
    trial.note("orders held by the killed, least", least)
    trial.workers[fault.target] = trial.site.start_worker()


async def freeze_workers(trial: Trial, *, patience: float = 1.0) -> None:
    """Each worker in turn is stopped and woken; the others take its orders over meanwhile."""
    workers, freezes, rate = trial.scale.pick((2, 2, 10), (4, 20, 25))
    faults = trial.plan.faults(freezes, after=(0.3, 2.0), lasts=(6.5, 10.0))
    seconds = trial.scale.pick(10, 50)
    api, *_ = await trial.start_apis(1)
    await trial.start_workers(workers)
    async with clients(trial.journal, [api.url], watch_every=5) as them:
        load = asyncio.create_task(them.load(rate * seconds, seconds))
        await asyncio.gather(
            *(freeze_in_turn(trial, target, faults[target::workers]) for target in range(workers))
        )
        await load
        await trial.ended_within(60, patience=patience)
        await them.watched(30 * patience)
    trial.note("freezes", freezes)
    lost = sum(worker.output.count("order.claim_lost") for worker in trial.workers)
    trial.note("moves that the fence refused", lost)


async def freeze_in_turn(trial: Trial, target: int, faults: list[Fault]) -> None:
    worker = trial.workers[target]
    for fault in faults:
        await asyncio.sleep(fault.after)
        worker.send(signal.SIGSTOP)
        await asyncio.sleep(fault.lasts)
        worker.send(signal.SIGCONT)


@pytest.mark.timeout(400)
async def test_orders_of_killed_workers_all_end_soon_and_land_at_most_once(stage: Stage) -> None:
    async with stage.trial(KILLS) as trial:
        await kill_workers(trial)
    assert trial.findings == []


@pytest.mark.timeout(400)
async def test_orders_of_frozen_workers_land_at_most_once(stage: Stage) -> None:
    shorter = stage.scale.pick({"MAX_ATTEMPTS": "4"}, {})
    async with stage.trial(FREEZES, **(HARD_MARKET | shorter)) as trial:
        await freeze_workers(trial)
    assert trial.findings == []

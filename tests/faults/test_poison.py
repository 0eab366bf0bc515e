"""An order that kills every worker that touches it, wherever it does: 11."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from subprocess import CompletedProcess
from typing import Final, LiteralString, NamedTuple

import pytest

from tests.e2e.programs import ROOT
from tests.faults.client import clients
from tests.faults.trial import Scenario, Stage, Trial
from tests.support.processes import linux_only

pytestmark = linux_only

POISON: Final = Scenario(
    11,
    "poison order",
    "an order whose transaction kills the worker that builds it, among others; each dead worker is replaced",
    "failed as `poisoned` after 5 deaths; the others unaffected; `order-engine requeue` brings it back",
)
POISON_AT_SUBMIT: Final = Scenario(
    11,
    "poison at submit",
    "an order that kills the worker that is about to send its signed transaction, which is stored",
    "failed as `poisoned` after 5 deaths, when its transaction can no longer land; then brought back; the others unaffected",
)
POISON_SENT: Final = Scenario(
    11,
    "poison once sent",
    "an order that kills the worker that has just sent its transaction",
    "confirmed by the next worker, which finds that it has landed; the others unaffected",
)
POISON_TO_LOOK_AT: Final = Scenario(
    11,
    "poison to look at",
    "an order whose transaction lands, and which kills every worker that asks what became of it",
    "after 5 deaths it is only looked at, after 10 `poisoned` with `fundsMoved: unknown`, and not requeued",
)
DEADLY: Final = Path(__file__).with_name("poison")
AMOUNT: Final = "6.66"
DEATHS: Final = 5
FAULTLESS: Final = {"MOCK_DEX_FAILURE_RATE": "0"}


class Outcome(NamedTuple):
    status: str
    failure_code: str | None
    funds_moved: str | None


SET_ASIDE: Final = Outcome("failed", "poisoned", "no")
UNRESOLVED: Final = Outcome("failed", "poisoned", "unknown")
CONFIRMED: Final = Outcome("confirmed", None, None)


async def poison_workers(trial: Trial, step: str, end: Outcome) -> tuple[str, int]:
    """The order that kills at this step, when it has come to this end; and how many workers it took along."""
    orders = trial.scale.pick(40, 200)
    [api] = await trial.start_apis(1)
    poisonous = {"PYTHONPATH": f"{DEADLY}:{ROOT}", "POISON": "6660000000", "POISON_AT": step}
    await trial.start_workers(1, **poisonous)
    async with clients(trial.journal, [api.url], watch_every=4) as them:
        load = asyncio.create_task(them.load(orders, 4))
        poison = await them.order("poison", tokenIn="SOL", tokenOut="USDC", amount=AMOUNT)
        assert poison is not None
        them.watch(poison)
        deaths = await replace_the_dead(trial, poison, end, **poisonous)
        await load
        await trial.ended_within(20)
        await them.watched(30)
    trial.note("workers killed by it", deaths)
    others = trial.books.rows("SELECT id FROM orders WHERE failure_code = 'poisoned' AND id <> %s", poison)
    trial.expect(not others, f"{len(others)} other orders were set aside")
    return poison, deaths


async def replace_the_dead(trial: Trial, poison: str, end: Outcome, **settings: str) -> int:
    """How many workers died until the order came to this end."""
    deaths = 0
    async with asyncio.timeout(250):
        while outcome(trial, poison) != end:
            if trial.workers[0].process.poll() == -signal.SIGKILL:
                deaths += 1
                trial.workers = [trial.site.start_worker(**settings)]
            await asyncio.sleep(0.05)
    return deaths


async def bring_back(trial: Trial, poison: str) -> None:
    """The cause is removed: a healthy worker, and the order is asked for again, twice."""
    trial.workers[0].send(signal.SIGTERM)
    await asyncio.to_thread(trial.workers[0].ended)
    await trial.start_workers(1)
    first, again = [await requeue(trial, poison) for _ in range(2)]
    successor = first.stdout.strip()
    trial.expect(first.returncode == 0, f"requeue said {first.stderr}")
    trial.expect(again.stdout == first.stdout, f"requeued twice: {first.stdout} and {again.stdout}")
    trial.journal.placed.add(successor)
    await trial.ended_within(20)
    trial.expect(outcome(trial, successor) == CONFIRMED, f"requeued: {outcome(trial, successor)}")
    trial.expect(outcome(trial, poison) == SET_ASIDE, "the poisoned order was changed")
    refused = await requeue(trial, successor)
    trial.expect(refused.returncode == 1, "an order that is confirmed was requeued")


async def requeue(trial: Trial, order_id: str) -> CompletedProcess[str]:
    return await asyncio.to_thread(
        trial.site.launcher.call, "requeue", order_id, DATABASE_URL=trial.database_url
    )


def outcome(trial: Trial, order_id: str) -> Outcome:
    query: LiteralString = "SELECT status::text, failure_code, funds_moved FROM orders WHERE id = %s"
    [found] = trial.books.rows(query, order_id)
    return Outcome(*found)


@pytest.mark.timeout(400)
async def test_an_order_that_kills_five_workers_is_set_aside_and_can_be_brought_back(stage: Stage) -> None:
    async with stage.trial(POISON, **FAULTLESS) as trial:
        poison, deaths = await poison_workers(trial, "build", SET_ASIDE)
        trial.expect(deaths == DEATHS, f"it killed {deaths} workers")
        await bring_back(trial, poison)
    assert trial.findings == []


@pytest.mark.timeout(400)
async def test_an_order_that_kills_once_it_is_sent_is_found_to_have_landed(stage: Stage) -> None:
    async with stage.trial(POISON_SENT, **FAULTLESS) as trial:
        _, deaths = await poison_workers(trial, "sent", CONFIRMED)
        trial.expect(deaths == 1, f"it killed {deaths} workers")
    assert trial.findings == []


@pytest.mark.only_full
@pytest.mark.timeout(400)
async def test_an_order_that_kills_before_it_is_sent_is_set_aside_when_it_can_no_longer_land(
    stage: Stage,
) -> None:
    async with stage.trial(POISON_AT_SUBMIT, **FAULTLESS) as trial:
        poison, deaths = await poison_workers(trial, "submit", SET_ASIDE)
        trial.expect(deaths == DEATHS, f"it killed {deaths} workers")
        await bring_back(trial, poison)
    assert trial.findings == []


@pytest.mark.only_full
@pytest.mark.timeout(400)
async def test_an_order_that_nobody_can_look_at_is_said_to_be_of_unknown_fate(stage: Stage) -> None:
    async with stage.trial(POISON_TO_LOOK_AT, **FAULTLESS) as trial:
        poison, deaths = await poison_workers(trial, "look", UNRESOLVED)
        trial.expect(deaths == 2 * DEATHS, f"it killed {deaths} workers")
        refused = await requeue(trial, poison)
        trial.expect(refused.returncode == 1, "an order that may have been filled was requeued")
    assert trial.findings == []

"""Venues that fail, and workers that die meanwhile, at every await of the engine: 14."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Final, LiteralString

import pytest
from structlog.testing import capture_logs

from app.execution.steps import POISON_LIMIT
from tests.builders import a_request
from tests.e2e.programs import ROOT, Program
from tests.faults.plan import Scale
from tests.faults.trial import Scenario, Stage, Trial, counted
from tests.faults.venues.protocols import Protocol
from tests.faults.venues.sweep import Life, Run, sweeping
from tests.faults.venues.troubles import SHORT, TROUBLES, Trouble
from tests.support.books import Books
from tests.support.checker import violations
from tests.support.processes import linux_only

VENUES: Final = Scenario(
    14,
    "venues",
    "replies lost, landings at the last moment, dropped and expired transactions, nodes that lag, venues down; each with"
    " a death of the process at every await of the engine, what it asked for there sent or not",
    "landed ≤ 1, confirmed ⇔ landed, never stuck",
)
KILLS: Final = Scenario(
    14,
    "venues and kills",
    "kill -9 of real workers at an await of their engine, what it asked for there sent or not, while their venues fail",
    VENUES.passes,
)
# What the ledger and the chain know of an order.
STORIES: Final[tuple[LiteralString, ...]] = (
    "SELECT sequence, status::text, at, data::text FROM order_events WHERE order_id = %s ORDER BY sequence",
    """SELECT number, left(signature, 8), last_valid_height, outcome::text, stored_at, resolved_at
         FROM order_attempts WHERE order_id = %s ORDER BY number""",
    """SELECT attempt, left(signature, 8), last_valid_height, outcome::text, received_at, lands_at
         FROM simulated_chain.transactions WHERE order_id = %s ORDER BY received_at""",
)
LETHAL: Final = Path(__file__).with_name("venues") / "lethal"
LAST_KILL: Final = 60  # awaits; a worker with two or three orders gets there
ROUND: Final = 3  # workers at a time
OURS: Final = Protocol()
PATIENCE: Final = 60.0  # seconds, on a busy machine; a real one needs one or two


async def die_everywhere(
    trial: Trial,
    *,
    troubles: Sequence[Trouble] = tuple(TROUBLES.values()),
    protocol: Protocol = OURS,
    patience: float = PATIENCE,
) -> None:
    """Every trouble with a death at every await; and what that came to."""
    chance = random.Random(trial.plan.seed)
    # An order that is set aside is never sent: it waits until its transaction cannot land any more.
    brief = [trouble for trouble in troubles if trouble.validity == SHORT]
    parity = chance.randrange(2)

    def deaths(number: int) -> list[list[Life]]:
        if trial.twin or trial.scale is Scale.SHORT:  # every second await, in one of the two ways
            return [[Life(number, chance.choice((True, False)))]] if number % 2 == parity else []
        again = Life(chance.randint(1, number), chance.choice((True, False)))
        return [
            [Life(number, is_sent=True)],
            [Life(number, is_sent=False)],
            [Life(number, is_sent=True), again],
        ]

    async with sweeping(
        trial.database_url, seed=trial.plan.seed, patience=patience, protocol=protocol
    ) as sweep:
        with capture_logs() as logs:
            awaits = await asyncio.gather(*(sweep.every_await(trouble, deaths) for trouble in troubles))
            await asyncio.gather(*(
                sweep.every_await(trouble, deaths, burden=POISON_LIMIT - 1)
                for trouble in brief[: 1 if trial.twin else trial.scale.pick(1, len(brief))]
            ))  # fmt: skip
    broken = [log["order_id"] for log in logs if log["event"] == "order.engine_failed"]
    trial.expect(not broken, f"engines that broke: {len(broken)}")
    await note(trial, sweep.runs)
    trial.note("awaits", ", ".join(f"{t.name} {n}" for t, n in zip(troubles, awaits, strict=True)))


async def note(trial: Trial, runs: Sequence[Run]) -> None:
    happened = sum((run.way.happened for run in runs), Counter[str]())
    trial.journal.placed |= {str(run.order_id) for run in runs}
    trial.note("deaths", sum(run.deaths for run in runs))
    trial.note("ended after the last death, s, at most", max(run.seconds for run in runs))
    trial.note("what happened on the way", counted(happened))
    stuck = [str(run) for run in runs if run.trouble]
    trial.expect(not stuck, f"stuck: {len(stuck)} ({'; '.join(stuck[:3])})")
    failed = trial.books.rows(
        "SELECT failure_code FROM orders WHERE status = 'failed' AND failure_code <> 'poisoned'"
    )
    trial.expect(not failed, f"failed, though the venues recovered: {len(failed)}")
    wrong = set().union(*(await violations(trial.database_url)).values())
    for run in runs:
        if run.order_id in wrong:
            rows = chain.from_iterable(trial.books.rows(story, run.order_id) for story in STORIES)
            print(f"{run.order_id}: {run}", *rows, sep="\n  ")  # noqa: T201  # shown when the test fails


async def kill_at_awaits(trial: Trial) -> None:
    """Rounds of workers that each die of their own await; a healthy one ends what they left."""
    chance = random.Random(trial.plan.seed)
    kills = 0
    async with Books(trial.database_url) as books:
        for _ in range(trial.scale.pick(1, 8)):
            workers = [start_doomed(trial, chance) for _ in range(ROUND)]
            async with asyncio.timeout(60):
                while any(worker.process.poll() is None for worker in workers):
                    trial.journal.placed.add(str(await books.accept(a_request(slippage_bps=500))))
                    await asyncio.sleep(0.2)
            codes = [worker.ended() for worker in workers]
            kills += codes.count(-signal.SIGKILL)
            trial.expect(set(codes) == {-signal.SIGKILL}, f"workers ended with {codes}")
    trial.note("kills", kills)
    trial.note("orders held by the killed", trial.books.number_held())
    await trial.start_workers(1)
    await trial.ended_within(30)


def start_doomed(trial: Trial, chance: random.Random) -> Program:
    return trial.site.start_worker(
        PYTHONPATH=f"{LETHAL}:{ROOT}",
        TROUBLE=chance.choice(list(TROUBLES)),
        DIES_AT=str(chance.randint(1, LAST_KILL)),
        IS_SENT=str(chance.choice((True, False))),
        WORKER_CONCURRENCY="3",
    )


@pytest.mark.timeout(900)
async def test_wherever_a_process_dies_and_whatever_the_venues_do_an_order_lands_once(stage: Stage) -> None:
    async with stage.trial(VENUES) as trial:
        await die_everywhere(trial)
    assert trial.findings == []


@linux_only
@pytest.mark.timeout(900)
async def test_orders_of_workers_that_are_killed_at_an_await_land_once(stage: Stage) -> None:
    async with stage.trial(KILLS, MAX_ATTEMPTS="10", MOCK_DEX_FAILURE_RATE="0") as trial:
        await kill_at_awaits(trial)
    assert trial.findings == []

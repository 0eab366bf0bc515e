"""Twins: each guard taken away, the same scenario and the same inspection must say so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, LiteralString, cast

import psycopg
import pytest

from tests.e2e.programs import ROOT
from tests.execution.paper import status_first
from tests.execution.test_engine_takeover import SendsBeforeStoring
from tests.faults.plan import Scale
from tests.faults.test_requests import ONE_KEY, post_one_key
from tests.faults.test_venues import VENUES, die_everywhere
from tests.faults.test_watchers import LONG, WATCHERS, watch_and_cut
from tests.faults.test_workers import FREEZES, HARD_MARKET, KILLS, freeze_workers, kill_workers
from tests.faults.trial import Stage
from tests.faults.venues.protocols import Protocol, SignsAnewOnTimeout, look_without_margin
from tests.faults.venues.troubles import TROUBLES
from tests.support.processes import linux_only

pytestmark = [linux_only, pytest.mark.timeout(400)]
takes_minutes = pytest.mark.skipif(os.environ.get("FAULTS") == Scale.SHORT, reason="`make faults` runs it")

SWEEPLESS: Final = Path(__file__).with_name("forgetful")
NOWHERE: Final = "redis://127.0.0.1:1/0"
IMPATIENT: Final = 5.0  # seconds: what is stuck may stay so

# What takes the place of the engine's own way, and one trouble that it must not survive.
OTHER_WAYS: Final = {
    "as others do: sign anew on time-out": (TROUBLES["reply lost"], Protocol(steps=SignsAnewOnTimeout)),
    "as others do: store after send (store-before-send off)": (
        TROUBLES["reply lost"],
        Protocol(steps=SendsBeforeStoring),
    ),
    "as others do: no margin at expiry": (TROUBLES["landed late"], Protocol(look=look_without_margin)),
    "height before status, swapped": (TROUBLES["landed late"], Protocol(look=cast("Any", status_first))),
    "height never ahead of status, off": (
        TROUBLES["status and height lagging"]._replace(is_behind=False),
        Protocol(),
    ),
}


def without(url: str, function: str, guard: str, replacement: str = "") -> None:
    """Takes a guard out of a function of this database."""
    with psycopg.connect(url, autocommit=True) as connection:
        query = "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = %s"
        row = connection.execute(query, (function,)).fetchone()
        assert row is not None
        assert row[0].count(guard) == 1
        connection.execute(cast("LiteralString", row[0].replace(guard, replacement)))


@contextmanager
def sweeps_locked_out(url: str) -> Iterator[None]:
    """Somebody else seems to sweep for as long as this lasts, so nobody does."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(hashtext('order-engine sweep'))")
        yield


@takes_minutes
@pytest.mark.parametrize("way", OTHER_WAYS)
async def test_another_way_to_send_and_to_store_fills_orders_twice(stage: Stage, way: str) -> None:
    trouble, protocol = OTHER_WAYS[way]
    async with stage.trial(VENUES, twin=way) as trial:
        await die_everywhere(trial, troubles=[trouble], protocol=protocol, patience=IMPATIENT)
    assert any(finding.startswith("filled_twice") for finding in trial.findings)


@takes_minutes
async def test_a_chain_that_takes_what_it_has_seen_fills_orders_twice(stage: Stage) -> None:
    without(stage.database_url, "serve", "ON CONFLICT (signature) DO NOTHING")
    with psycopg.connect(stage.database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE simulated_chain.transactions DROP CONSTRAINT transactions_pkey")
    async with stage.trial(VENUES, twin="refusal of a seen signature off") as trial:
        await die_everywhere(trial, troubles=[TROUBLES["status lagging"]], patience=IMPATIENT)
    assert any(finding.startswith("filled_twice") for finding in trial.findings)


@takes_minutes
async def test_without_the_hubs_reads_of_its_own_watchers_miss_steps(stage: Stage) -> None:
    settings = {**LONG, "PYTHONPATH": f"{SWEEPLESS}:{ROOT}"}
    async with stage.trial(WATCHERS, twin="hub re-read off", **settings) as trial:
        await watch_and_cut(trial)
    assert any(finding.startswith("transcripts unlike the events") for finding in trial.findings)


@takes_minutes
async def test_without_the_fence_frozen_workers_do_harm(stage: Stage) -> None:
    without(stage.database_url, "move_orders", "AND o.fence = w.fence")
    async with stage.trial(FREEZES, twin="fence off", **HARD_MARKET) as trial:
        await freeze_workers(trial, patience=0.5)
    assert any(finding.startswith("filled_twice") for finding in trial.findings)


@takes_minutes
async def test_without_the_sweep_orders_of_killed_workers_never_end(stage: Stage) -> None:
    with sweeps_locked_out(stage.database_url):
        async with stage.trial(KILLS, twin="sweep off") as trial:
            await kill_workers(trial)
    assert any(finding.startswith("unfinished") for finding in trial.findings)


async def test_without_the_unique_index_one_key_makes_several_orders(stage: Stage) -> None:
    on_conflict = "ON CONFLICT (account, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING"
    without(stage.database_url, "accept_orders", on_conflict)
    with psycopg.connect(stage.database_url, autocommit=True) as connection:
        connection.execute("DROP INDEX orders_idempotency_key")
    # Without Redis: what it remembers of the first order would hide that nothing else stops the second.
    async with stage.trial(ONE_KEY, twin="idempotency constraint off", redis_url=NOWHERE) as trial:
        await post_one_key(trial)
    assert any(finding.startswith("keys with several orders") for finding in trial.findings)

"""A network that is silent between the engine and Postgres: 4."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Final

import pytest

from app.storage.database import connect, conninfo
from tests.e2e.clients import until
from tests.faults.client import clients
from tests.faults.trial import Scenario, Stage, Trial
from tests.support.processes import linux_only
from tests.support.wire import Flow, wire_to_postgres

pytestmark = linux_only

PARTITIONS: Final = Scenario(
    4,
    "Postgres unreachable",
    "nothing passes between all processes and Postgres (blackhole); then nothing comes back (half-open)",
    "recovers ≤ 30 s after it heals; no zombie, no leaked connection; clients see only 2xx, 429 or 503",
)
TOLD_IN_OUTAGES: Final = {200, 201, 429, 503}
RECOVERY: Final = 30.0  # seconds
CONNECTIONS: Final = 18 + 2 * 11  # one API process and two workers, as docs/operations.md counts them
BUSY: Final = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name LIKE 'order-engine %' AND state LIKE 'idle in transaction%'"
)
OPEN: Final = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name LIKE 'order-engine %'"
)


async def cut_off(trial: Trial) -> None:
    silence, rate = trial.scale.pick((12, 3), (60, 3))
    async with wire_to_postgres(trial.database_url) as wire:
        with trial.site_at(wire.through_url(trial.database_url)) as site:
            [api] = await trial.start_apis(1, site)
            trial.workers = [site.start_worker() for _ in range(2)]
            for worker in trial.workers:
                await trial.at_work(worker)
            async with clients(trial.journal, [api.url], watch_every=2) as them:
                for flow in (Flow.BLACKHOLE, Flow.HALF_OPEN):
                    load = asyncio.create_task(
                        them.load(rate * (silence + 5), silence + 5, prefix=flow.name.lower())
                    )
                    await asyncio.sleep(3)
                    wire.turn(flow)
                    await asyncio.sleep(silence)
                    wire.turn(Flow.FREE)
                    healed = time.monotonic()
                    await load
                    await trial.ended_within(RECOVERY, since=healed, patience=1.5)
                    trial.note(f"{flow.name.lower()}: all ended after, s", time.monotonic() - healed)
                    await expect_tidy(trial)
                await them.watched(30)
    trial.facts.pop("all ended after, s", None)
    trial.note("silent for, s", silence)
    odd = {status: n for status, n in trial.journal.statuses.items() if status not in TOLD_IN_OUTAGES}
    trial.expect(not odd, f"clients were told {odd}")


async def expect_tidy(trial: Trial) -> None:
    """No transaction that nobody ends, no connection that nobody uses, no process that hangs."""
    with suppress(TimeoutError):
        await until(lambda: trial.books.rows(BUSY) == [(0,)], within=10)
    trial.expect(trial.books.rows(BUSY) == [(0,)], "a transaction was left open")
    [(count,)] = trial.books.rows(OPEN)
    trial.note(
        "connections afterwards, at most",
        max(count, int(trial.facts.get("connections afterwards, at most", 0))),
    )
    trial.expect(count <= CONNECTIONS, f"{count} connections are open, more than {CONNECTIONS}")


@pytest.mark.timeout(400)
async def test_a_silent_network_is_survived_and_leaves_nothing_behind(stage: Stage) -> None:
    async with stage.trial(PARTITIONS) as trial:
        await cut_off(trial)
    assert trial.findings == []


async def test_the_server_looks_for_clients_that_the_network_has_lost(database_url: str) -> None:
    connection = await connect(conninfo(database_url, "test"))
    try:
        cursor = await connection.execute(
            "SELECT name, setting::integer FROM pg_settings WHERE name LIKE 'tcp_keepalives_%'"
        )
        settings: dict[str, int] = dict(await cursor.fetchall())
    finally:
        await connection.close()
    idle, interval, count = (settings[f"tcp_keepalives_{name}"] for name in ("idle", "interval", "count"))
    assert 0 < idle + interval * count <= RECOVERY

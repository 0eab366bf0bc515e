"""Postgres whose disk is full: 12."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import httpx
import psycopg
import pytest
import pytest_asyncio
from psycopg import sql

from app.dev.embedded import EmbeddedPostgres
from app.storage.migrations import migrate
from tests.e2e.clients import an_order, client_of
from tests.faults.client import PAUSE, clients
from tests.faults.disk import TinyDisk, tiny_disk
from tests.faults.operator import Operator
from tests.faults.trial import Scenario, Stage, Trial
from tests.support.processes import linux_only

pytestmark = linux_only

NO_ROOM: Final = Scenario(
    12,
    "disk full",
    "no room for the ledger's tables, under load; then room again",
    "503 with Retry-After, liveness up, nothing half-written; all ended 30 s after it was freed, unaided",
)
NO_ROOM_FOR_THE_LOG: Final = Scenario(
    12,
    "disk full, log too",
    "no room for anything of Postgres, which crashes; then room again, and Postgres is started again",
    "503 with Retry-After, liveness up, nothing half-written; all ended 30 s after it is back, unaided",
)
TOLD_IN_OUTAGES: Final = {200, 201, 429, 503}
RECOVERY: Final = 30.0  # seconds
TABLES_MB: Final = 40
CLUSTER_MB: Final = 160
SMALL_LOG: Final = {"max_wal_size": "32MB", "min_wal_size": "32MB"}


@pytest_asyncio.fixture
async def disk_of_the_tables(data_dir: Path, operator: Operator) -> AsyncIterator[tuple[TinyDisk, str]]:
    """A disk for a database's tables, and the URL of that database; the log of its server is elsewhere."""
    postgres = EmbeddedPostgres(data_dir / "postgres")
    with tiny_disk(data_dir / "tables", TABLES_MB) as disk:
        try:
            await operator.does(postgres.start)
            yield disk, _database_on(disk, postgres.url, owner=data_dir / "postgres" / "cluster")
        finally:
            await operator.does(postgres.stop)


@pytest_asyncio.fixture
async def postgres_on_its_disk(
    data_dir: Path, operator: Operator
) -> AsyncIterator[tuple[TinyDisk, EmbeddedPostgres]]:
    """A disk for all that a Postgres has."""
    with tiny_disk(data_dir / "all", CLUSTER_MB) as disk:
        postgres = EmbeddedPostgres(disk.folder / "postgres", SMALL_LOG)
        try:
            await operator.does(postgres.start)
            migrate(postgres.url)
            yield disk, postgres
        finally:
            await operator.does(postgres.stop)


def _database_on(disk: TinyDisk, server_url: str, owner: Path) -> str:
    folder = disk.folder / "tables"
    folder.mkdir(mode=0o700)
    os.chown(folder, owner.stat().st_uid, owner.stat().st_gid)
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(sql.SQL("CREATE TABLESPACE tiny LOCATION {}").format(str(folder)))
        server.execute("CREATE DATABASE ledger TABLESPACE tiny")
    url = f"{server_url.rpartition('/')[0]}/ledger"
    migrate(url)
    return url


async def run_out_of_room(
    trial: Trial, fill: Callable[[], object], free: Callable[[], object], operator: Operator
) -> None:
    full_for, rate = trial.scale.pick((4, 25), (30, 20))
    [api] = await trial.start_apis(1)
    await trial.start_workers(2)
    seconds = full_for + 4
    async with clients(trial.journal, [api.url], watch_every=5) as them:
        load = asyncio.create_task(them.load(rate * seconds, seconds))
        await asyncio.sleep(2)
        await operator.does(fill)
        refused, key = await refusals(trial, api.url, full_for)
        await operator.does(free)
        freed = time.monotonic()
        await them.insist(key, an_order())
        await load
        trial.note("all accepted after there was room, s", time.monotonic() - freed)
        await trial.ended_within(RECOVERY, since=freed)
        await them.watched(30)
    trial.note("full for, s", full_for)
    trial.note("refused with 503", refused)
    trial.expect(refused, "nobody noticed that the disk was full")
    odd = {status: n for status, n in trial.journal.statuses.items() if status not in TOLD_IN_OUTAGES}
    trial.expect(not odd, f"clients were told {odd}")


async def refusals(trial: Trial, url: str, seconds: float) -> tuple[int, str]:
    """One POST after the other, and a look at liveness after each; how many were refused, as they must be.

    Who is refused asks again under its key; the last one does so when there is room: it may have been stored.
    """
    refused = accepted = 0
    until = time.monotonic() + seconds
    async with client_of(url) as client:
        while time.monotonic() < until:
            headers = {"idempotency-key": f"probe-{accepted}"}
            answer = await client.post("/api/orders/execute", json=an_order(), headers=headers)
            if answer.is_success:
                trial.journal.placed.add(answer.json()["orderId"])
                accepted += 1
            else:
                refused += 1
                _expect_problem(trial, answer)
            alive = await client.get("/livez")
            trial.expect(alive.is_success, f"/livez was {alive.status_code}")
            await asyncio.sleep(PAUSE)
    return refused, f"probe-{accepted}"


def _expect_problem(trial: Trial, answer: httpx.Response) -> None:
    is_whole = (
        answer.headers["content-type"] == "application/problem+json" and "retry-after" in answer.headers
    )
    trial.expect(is_whole, f"refused with {dict(answer.headers)}")


def crash(disk: TinyDisk, postgres: EmbeddedPostgres) -> None:
    """Fills the disk; the next file of its log is Postgres's end."""
    disk.fill()
    deadline = time.monotonic() + 20
    while postgres.exit_code is None and time.monotonic() < deadline:
        disk.fill()
        try:
            with psycopg.connect(postgres.url, autocommit=True, connect_timeout=2) as server:
                server.execute("SELECT pg_switch_wal() FROM pg_logical_emit_message(true, '', 'x')")
        except psycopg.OperationalError:
            time.sleep(0.1)


def bring_back(disk: TinyDisk, postgres: EmbeddedPostgres) -> None:
    disk.free()
    postgres.start()


@pytest.mark.only_full
@pytest.mark.timeout(400)
async def test_a_full_disk_under_the_tables_is_survived(
    stage: Stage, disk_of_the_tables: tuple[TinyDisk, str], operator: Operator
) -> None:
    disk, url = disk_of_the_tables
    async with stage.trial(NO_ROOM, database_url=url) as trial:
        await run_out_of_room(trial, disk.fill, disk.free, operator)
    assert trial.findings == []


@pytest.mark.only_full
@pytest.mark.timeout(400)
async def test_a_full_disk_under_all_of_postgres_is_survived(
    stage: Stage, postgres_on_its_disk: tuple[TinyDisk, EmbeddedPostgres], operator: Operator
) -> None:
    disk, postgres = postgres_on_its_disk
    async with stage.trial(NO_ROOM_FOR_THE_LOG, database_url=postgres.url) as trial:
        await run_out_of_room(
            trial, lambda: crash(disk, postgres), lambda: bring_back(disk, postgres), operator
        )
    assert trial.findings == []

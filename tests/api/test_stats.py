"""What the engine did in the last minute, in numbers."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.api import pulse
from app.api.pulse import Pulse
from app.orders.lifecycle import Status
from app.storage.activity import Activity, ActivityReader
from app.storage.database import Database, conninfo
from tests.support.books import Books, a_move

from .support import Api, a_settings, eventually, running_api, working

ANSWERS = {"quotes": [{"dex": "raydium"}], "unavailable": [{"dex": "meteora", "code": "quote_timeout"}]}
NOBODY = {"code": "quote_timeout", "retryable": True}


@pytest.fixture(autouse=True)
def always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "FRESH_SECONDS", 0.0)


@pytest.fixture
async def books(database_url: str) -> AsyncIterator[Books]:
    async with Books(database_url) as books:
        yield books


async def stats(api: Api) -> dict[str, Any]:
    answer = await api.http.get("/api/stats")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_an_engine_that_did_nothing_says_so(api: Api) -> None:
    found = await stats(api)

    seconds = found.pop("perSecond")
    assert found.pop("ts")
    assert found == {
        "asOf": 0, "windowSeconds": 60, "accepted": 0, "confirmed": 0, "failed": 0, "ordersPerSecond": 0.0,
        "successRate": None, "latency": {"p50Ms": None, "p99Ms": None},
        "queue": {"pending": 0, "oldestSeconds": None}, "inFlight": 0,
        "venues": [{"dex": dex, "status": "idle", "quotes": 0, "unavailable": 0} for dex in ("raydium", "meteora")],
    }  # fmt: skip
    times = [dt.datetime.fromisoformat(second.pop("ts")) for second in seconds]
    assert seconds == [{"accepted": 0, "confirmed": 0, "failed": 0}] * 60
    assert {later - earlier for earlier, later in itertools.pairwise(times)} == {dt.timedelta(seconds=1)}


async def test_orders_are_counted_where_they_stand(api: Api, books: Books) -> None:
    await stats(api)  # from which it goes on
    for status in (Status.CONFIRMED, Status.CONFIRMED, Status.FAILED, Status.SUBMITTED, Status.RETRYING):
        await books.bring_to(status)
    waiting = await books.accept()
    await books.accept(queue=False)
    await books.ask("UPDATE orders SET queued_at = queued_at - interval '30 s' WHERE id = %s", waiting)

    found = await stats(api)

    assert (found["accepted"], found["confirmed"], found["failed"]) == (7, 2, 1)
    assert found["successRate"] == pytest.approx(2 / 3, abs=1e-4)
    assert found["ordersPerSecond"] == pytest.approx(7 / 60, abs=1e-3)
    assert (found["queue"]["pending"], found["inFlight"]) == (1, 2)
    assert 30 <= found["queue"]["oldestSeconds"] < 90
    assert sum(second["accepted"] for second in found["perSecond"]) == 7
    assert found["asOf"] == (await api.http.get("/api/orders")).json()["asOf"]


async def test_latency_is_from_acceptance_to_confirmation(api: Api, books: Books) -> None:
    for seconds in (*range(60, 6000, 60), 30 * 86_400):
        order_id = await books.accept()
        claimed = await books.bring_to(Status.SUBMITTED, order_id)
        await books.ask(
            "UPDATE orders SET created_at = clock_timestamp() - %s WHERE id = %s",
            dt.timedelta(seconds=seconds), order_id,
        )  # fmt: skip
        await books.ledger.move(a_move(claimed, Status.CONFIRMED))

    latency = (await stats(api))["latency"]

    assert 3_000_000 <= latency["p50Ms"] < 3_060_000
    assert 5_940_000 <= latency["p99Ms"] < 6_000_000


async def test_venues_are_as_they_answered_last(api: Api, books: Books) -> None:
    for data in (ANSWERS, {"quotes": [{"dex": "raydium"}]}):
        claimed = await books.claim(await books.accept())
        await books.ledger.move(a_move(claimed, Status.BUILDING, data=data))
    found = {venue["dex"]: venue for venue in (await stats(api))["venues"]}
    assert found["raydium"] == {"dex": "raydium", "status": "up", "quotes": 2, "unavailable": 0}
    assert found["meteora"] == {"dex": "meteora", "status": "down", "quotes": 0, "unavailable": 1}

    await books.ask("SELECT pg_sleep(1)")  # another second of the server's clock
    claimed = await books.claim(await books.accept())
    await books.ledger.move(a_move(claimed, Status.RETRYING, data=NOBODY))
    found = {venue["dex"]: venue for venue in (await stats(api))["venues"]}
    assert [found[dex]["status"] for dex in ("raydium", "meteora")] == ["down", "down"]
    assert [found[dex]["unavailable"] for dex in ("raydium", "meteora")] == [1, 2]


async def test_what_is_older_than_a_minute_is_not_counted(api: Api, books: Books) -> None:
    old = (await books.bring_to(Status.FAILED)).order.id
    await books.ask("SET session_replication_role = replica")
    await books.ask("UPDATE order_events SET at = at - interval '61 s' WHERE order_id = %s", old)
    await books.bring_to(Status.FAILED)
    found = await stats(api)
    assert (found["accepted"], found["failed"]) == (1, 1)


async def test_orders_of_somebody_else_are_not_counted(api: Api, books: Books) -> None:
    order_id = await books.accept()
    await books.ask("UPDATE orders SET account = 'alice' WHERE id = %s", order_id)
    found = await stats(api)
    assert (found["accepted"], found["queue"]["pending"]) == (0, 0)


async def test_a_worker_at_work_shows(database_url: str, redis_url: str) -> None:
    settings = a_settings(database_url, redis_url)
    async with running_api(settings) as api, working(settings):
        for _ in range(5):
            await api.placed(slippageBps=5000)

        async def all_confirmed() -> bool:
            return bool((await stats(api))["confirmed"] == 5)

        await eventually(all_confirmed, within=30)
        found = await stats(api)
    assert found["latency"]["p99Ms"] >= found["latency"]["p50Ms"] > 0
    assert {venue["status"] for venue in found["venues"]} == {"up"}


class CountingReader(ActivityReader):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.asked: list[int | None] = []

    async def since(self, account: str, after: int | None, span: dt.timedelta) -> Activity:
        self.asked.append(after)
        return await super().since(account, after, span)


async def test_it_reads_once_for_all_who_ask_and_goes_on_from_there(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulse, "FRESH_SECONDS", 3600.0)
    async with Database(conninfo(books.url, "stats")) as database:
        reader = CountingReader(database)
        heart = Pulse(reader, ())
        await books.bring_to(Status.CONFIRMED)
        readings = await asyncio.gather(*(heart.of("default") for _ in range(20)))
        assert len(reader.asked) == 1
        assert len({id(reading) for reading in readings}) == 1

        monkeypatch.setattr(pulse, "FRESH_SECONDS", 0.0)
        await heart.of("default")
        assert reader.asked == [None, 5]


async def test_of_a_long_log_the_last_minutes_are_found(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.storage.activity.FIRST_STEP", 1)
    for _ in range(6):
        await books.bring_to(Status.CONFIRMED)
    await books.ask("SET session_replication_role = replica")
    await books.ask("UPDATE order_events SET at = at - interval '1 h' WHERE position <= 20")
    async with Database(conninfo(books.url, "stats")) as database:
        activity = await ActivityReader(database).since("default", None, dt.timedelta(seconds=60))
        recent = [steps for steps in activity.steps if steps.second > activity.now - dt.timedelta(minutes=1)]
    assert sum(steps.orders for steps in recent if steps.status is Status.CONFIRMED) == 2
    # 30 positions, of which one to two of ten are recent: not all of them were read.
    assert sum(steps.orders for steps in activity.steps if steps.status is Status.PENDING) < 6


async def test_a_log_whose_end_was_pruned_is_as_if_nothing_had_happened(api: Api, books: Books) -> None:
    await books.ask("UPDATE order_log_horizon SET position = 5000")

    found = await stats(api)

    assert (found["asOf"], found["accepted"]) == (5000, 0)

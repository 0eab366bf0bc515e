from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Never

import psycopg
import pytest

from app.errors import IdempotencyMismatch, StorageUnavailable
from app.storage import group_commit
from app.storage.database import connect

from .lanes import Lane, results_of, submitted


async def test_an_idle_lane_commits_at_once(lane: Lane) -> None:
    async with lane.open() as commits:
        assert await commits.submit("a") == "A"
        assert await lane.written() == ["a"]  # committed before the answer, not at some later flush


async def test_while_one_batch_is_in_flight_the_next_one_gathers(lane: Lane) -> None:
    lane.writing.hold()
    async with lane.open() as commits:
        tasks = await submitted(commits, "a")
        await lane.writing.has_begun(1)
        tasks += await submitted(commits, "b", "c", "d")
        lane.writing.let_go()

        assert await results_of(tasks) == ["A", "B", "C", "D"]
    assert lane.writing.batches == [["a"], ["b", "c", "d"]]


async def test_each_caller_gets_the_result_of_its_own_item(lane: Lane) -> None:
    values = [f"v{i}" for i in range(500)]
    async with lane.open() as commits:
        assert await results_of(await submitted(commits, *values)) == [value.upper() for value in values]
    assert await lane.written() == values
    assert len(lane.writing.batches) <= 5


async def test_callers_are_served_in_the_order_in_which_they_came(lane: Lane) -> None:
    late: list[asyncio.Future[str]] = []
    lane.writing.hold()
    async with lane.open(max_batch=2) as commits:
        lane.writing.before = lambda values: late.append(commits.put("late")) if "d" in values else None
        tasks = await submitted(commits, "a")
        await lane.writing.has_begun(1)
        tasks += await submitted(commits, "b", "c", "d", "e", "f")
        lane.writing.let_go()

        await results_of(tasks)
        await asyncio.gather(*late)
    assert lane.writing.batches == [["a"], ["b", "c"], ["d", "e"], ["f", "late"]]


async def test_items_of_different_kinds_travel_apart_and_nobody_is_overtaken_by_the_kind_of_the_first(
    lane: Lane,
) -> None:
    lane.writing.hold()
    async with lane.open(kind=lambda value: value[0], max_batch=3) as commits:
        tasks = await submitted(commits, "z")
        await lane.writing.has_begun(1)
        tasks += await submitted(commits, "a1", "b1", "a2", "b2", "a3", "a4", "c1")
        lane.writing.let_go()
        await results_of(tasks)
    assert lane.writing.batches == [["z"], ["a1", "a2", "a3"], ["b1", "b2"], ["a4"], ["c1"]]


async def test_a_busy_lane_keeps_a_pace_and_an_idle_one_does_not(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "PACE", 3.0)
    async with lane.open() as commits:
        for value in "abc":  # one after the other: between them the lane is idle
            async with asyncio.timeout(2.7):
                await commits.submit(value)
        began = time.monotonic()
        lane.writing.hold()
        tasks = await submitted(commits, "d")
        await lane.writing.has_begun(4)
        tasks += await submitted(commits, "e")
        lane.writing.let_go()
        await tasks[0]
        tasks += await submitted(commits, "f")
        await results_of(tasks)
    assert lane.writing.batches[3:] == [["d"], ["e", "f"]]
    assert time.monotonic() - began >= 3.0


async def test_a_full_batch_does_not_wait_for_the_pace(lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "PACE", 60.0)
    async with lane.open(max_batch=2) as commits:
        assert await results_of(await submitted(commits, *"abcdef")) == list("ABCDEF")


async def test_an_exception_as_a_result_is_raised_for_that_caller_alone(lane: Lane) -> None:
    lane.writing.answer = lambda value: IdempotencyMismatch(value) if value == "b" else value.upper()
    async with lane.open() as commits:
        first, second, third = await results_of(await submitted(commits, "a", "b", "c"))

    assert (first, third) == ("A", "C")
    assert isinstance(second, IdempotencyMismatch)
    assert await lane.written() == ["a", "b", "c"]


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("bad", ["taken", "nul\x00", "\ud800"], ids=["constraint", "data", "encoding"])
async def test_a_bad_item_fails_alone_and_its_neighbours_are_committed(
    lane: Lane, bad: str, place: int
) -> None:
    values = ["a", "b"]
    values.insert(place, bad)
    async with lane.open() as commits:
        await commits.submit("taken")
        results = await results_of(await submitted(commits, *values))

    assert isinstance(results.pop(place), psycopg.Error | UnicodeError)
    assert results == ["A", "B"]
    assert await lane.written() == ["taken", "a", "b"]


async def test_an_error_that_nobody_expected_fails_its_item_alone(lane: Lane) -> None:
    def stumble(values: Sequence[str]) -> None:
        if "b" in values:
            raise KeyError("b")

    lane.writing.before = stumble
    async with lane.open() as commits:
        results = await results_of(await submitted(commits, "a", "b", "c"))
        assert (results[0], results[2]) == ("A", "C")
        assert isinstance(results[1], KeyError)
        assert await commits.submit("d") == "D"
    assert await lane.written() == ["a", "c", "d"]


async def test_a_batch_that_fails_as_a_whole_is_tried_again_item_by_item(lane: Lane) -> None:
    def deadlock(values: Sequence[str]) -> None:
        if len(values) > 1:
            raise psycopg.errors.DeadlockDetected

    lane.writing.before = deadlock
    async with lane.open() as commits:
        assert await results_of(await submitted(commits, "a", "b", "c")) == ["A", "B", "C"]
    assert await lane.written() == ["a", "b", "c"]


async def test_what_may_pass_is_said_to_be_unavailable(lane: Lane) -> None:
    def deadlock(_values: Sequence[str]) -> Never:
        raise psycopg.errors.DiskFull

    lane.writing.before = deadlock
    async with lane.open() as commits:
        results = await results_of(await submitted(commits, "a", "b"))

    assert [type(result) for result in results] == [StorageUnavailable] * 2


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_results_that_do_not_fit_the_items_are_told_to_all_and_the_lane_lives(
    lane: Lane, count: int
) -> None:
    fitting = lane.writing
    commits = lane.open()

    async def miscounting(
        connection: psycopg.AsyncConnection, values: Sequence[str]
    ) -> list[str | Exception]:
        results = list(await fitting(connection, values))
        return results if "good" in values else (results * 3)[:count]

    commits._write = miscounting
    async with commits:
        results = await results_of(await submitted(commits, "a", "b"))
        assert await commits.submit("good") == "GOOD"

    assert all(isinstance(result, RuntimeError) for result in results)
    assert await lane.written() == ["a", "b", "good"]  # once: what is committed is not tried again


async def test_a_cancellation_that_nobody_asked_for_does_not_end_the_lane(lane: Lane) -> None:
    def leak(values: Sequence[str]) -> None:
        if "a" in values:
            raise asyncio.CancelledError

    lane.writing.before = leak
    async with lane.open() as commits:
        results = await results_of(await submitted(commits, "a"))
        assert await commits.submit("b") == "B"
    assert isinstance(results[0], StorageUnavailable)


async def test_a_caller_that_gives_up_in_the_queue_is_left_out(lane: Lane) -> None:
    lane.writing.hold()
    async with lane.open() as commits:
        tasks = await submitted(commits, "a")
        await lane.writing.has_begun(1)
        tasks += await submitted(commits, "b", "c")
        tasks[1].cancel()
        lane.writing.let_go()
        results = await results_of(tasks)

    assert isinstance(results[1], asyncio.CancelledError)
    assert (results[0], results[2]) == ("A", "C")
    assert await lane.written() == ["a", "c"]


async def test_a_caller_that_gives_up_in_flight_harms_nobody(lane: Lane) -> None:
    lane.writing.hold()
    async with lane.open() as commits:
        tasks = await submitted(commits, "a", "b")
        await lane.writing.has_begun(1)
        tasks[0].cancel()
        await asyncio.sleep(0)
        lane.writing.let_go()
        assert await tasks[1] == "B"
        assert await commits.submit("c") == "C"
    assert await lane.written() == ["a", "b", "c"]  # what was in flight is committed all the same


async def test_a_full_lane_refuses_at_once(lane: Lane) -> None:
    lane.writing.hold()
    async with lane.open(max_waiting=2) as commits:
        tasks = await submitted(commits, "a")
        await lane.writing.has_begun(1)
        tasks += await submitted(commits, "b", "c")
        with pytest.raises(StorageUnavailable, match="full"):
            await commits.submit("d")
        lane.writing.let_go()

        assert await results_of(tasks) == ["A", "B", "C"]
        assert await commits.submit("e") == "E"


async def test_closing_commits_what_is_waiting_and_takes_no_more(lane: Lane) -> None:
    lane.writing.hold()
    commits = lane.open(max_batch=2)
    async with commits:
        tasks = await submitted(commits, "a")
        await lane.writing.has_begun(1)
        tasks += await submitted(commits, "b", "c", "d")
        lane.writing.let_go()
    assert await results_of(tasks) == ["A", "B", "C", "D"]
    assert await lane.written() == ["a", "b", "c", "d"]
    with pytest.raises(StorageUnavailable, match="closed"):
        await commits.submit("e")


async def test_a_lane_that_was_never_opened_refuses(lane: Lane) -> None:
    with pytest.raises(StorageUnavailable, match="closed"):
        await lane.open().submit("a")


async def test_each_batch_is_one_transaction_on_the_same_connection(lane: Lane) -> None:
    await lane.execute("ALTER TABLE written ADD xid xid8 DEFAULT pg_current_xact_id()")
    await lane.execute("ALTER TABLE written ADD pid integer DEFAULT pg_backend_pid()")
    async with lane.open() as commits:
        await results_of(await submitted(commits, *map(str, range(300))))

    connection = await connect(lane.url)
    async with connection:
        cursor = await connection.execute("SELECT count(DISTINCT xid), count(DISTINCT pid) FROM written")
        assert await cursor.fetchone() == (3, 1) == (len(lane.writing.batches), 1)

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from app.errors import StorageUnavailable
from app.storage import group_commit, line
from app.storage.database import conninfo
from tests.support.servers import database_name
from tests.support.wire import Wire, wire_to_postgres

from .lanes import DEADLINE, Lane, results_of, submitted

SOON = 3.0  # seconds; what an outage may cost beyond the deadlines that a test sets


@pytest.fixture
async def wire(lane: Lane) -> AsyncIterator[Wire]:
    async with wire_to_postgres(lane.url) as wire:
        yield wire


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "OUTAGE_GRACE", 0.1)


def through(wire: Wire, lane: Lane) -> str:
    return wire.through(conninfo(lane.url, "lane"))


async def heals(lane: group_commit.GroupCommit[str, str], value: str) -> None:
    """The lane commits again, without anybody's help."""
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                assert await lane.submit(value) == value.upper()
            except StorageUnavailable:
                await asyncio.sleep(0.01)
            else:
                return


async def test_what_may_have_been_committed_is_not_tried_again(lane: Lane) -> None:
    await lane.execute(
        "CREATE FUNCTION end_session() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END$$"
    )
    await lane.execute(
        "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON written DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION end_session()"
    )
    async with lane.open() as commits:
        results = await results_of(await submitted(commits, "a", "b"))
        await lane.execute("DROP TRIGGER at_commit ON written")
        await heals(commits, "c")

    assert results[0] is not results[1]  # a shared one would gather every caller's traceback
    assert [type(result) for result in results] == [StorageUnavailable] * 2
    assert [batch for batch in lane.writing.batches if batch != ["c"]] == [["a", "b"]]  # once and no more
    assert await lane.written() == ["c"]


async def test_what_waits_while_a_connection_is_lost_goes_with_the_next_one(lane: Lane) -> None:
    lane.writing.hold()
    async with lane.open() as commits:
        lost = await submitted(commits, "a", "b")
        await lane.writing.has_begun(1)
        waiting = await submitted(commits, "c")
        await lane.kill()
        lane.writing.let_go()
        results = await results_of([*lost, *waiting])

    assert [type(result) for result in results[:2]] == [
        StorageUnavailable
    ] * 2  # they may have been committed
    assert results[2] == "C"
    assert await lane.written() == ["c"]


async def test_an_item_that_ends_its_connection_fails_its_batch_and_no_other(lane: Lane) -> None:
    await lane.execute(
        "CREATE FUNCTION end_session_now() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END$$"
    )
    await lane.execute(
        "CREATE TRIGGER killer BEFORE INSERT ON written FOR EACH ROW WHEN (NEW.value = 'killer')"
        " EXECUTE FUNCTION end_session_now()"
    )
    async with lane.open() as commits:
        lane.writing.hold()
        tasks = await submitted(commits, "a", "killer", "b")
        await lane.writing.has_begun(1)
        tasks += await submitted(commits, "c")
        lane.writing.let_go()
        results = await results_of(tasks)

    assert [type(result) for result in results[:3]] == [StorageUnavailable] * 3
    assert results[3] == "C"
    assert await lane.written() == ["c"]


async def test_a_connection_that_died_while_idle_is_replaced(lane: Lane) -> None:
    async with lane.open() as commits:
        await commits.submit("a")
        await lane.kill()
        assert await commits.submit("b") == "B"  # its caller does not notice
    assert await lane.written() == ["a", "b"]


async def test_a_connection_lost_while_looking_for_the_bad_item_fails_the_rest(
    lane: Lane, wire: Wire
) -> None:
    def cut_at_b(values: object) -> None:
        if values == ["b"]:
            wire.cut()
        elif len(lane.writing.batches) == 1:
            raise KeyError("the batch as a whole")

    lane.writing.before = cut_at_b
    async with lane.open(through=through(wire, lane)) as commits:
        results = await results_of(await submitted(commits, "a", "b", "c"))
        lane.writing.before = lambda _values: None
        wire.mend()
        await heals(commits, "d")

    assert results[0] == "A"
    assert [type(result) for result in results[1:]] == [StorageUnavailable] * 2
    assert await lane.written() == ["a", "d"]


async def test_a_server_that_is_away_at_the_start_is_said_to_be_and_found_when_it_comes(
    lane: Lane, wire: Wire
) -> None:
    wire.cut()
    async with lane.open(through=through(wire, lane)) as commits:
        async with asyncio.timeout(SOON):
            with pytest.raises(StorageUnavailable, match="cannot connect"):
                await commits.submit("a")
        wire.mend()
        await heals(commits, "b")
    assert await lane.written() == ["b"]


async def test_a_write_that_hangs_is_given_up_at_the_deadline(lane: Lane) -> None:
    lane.writing.hold()
    async with lane.open(deadline=0.2) as commits:
        async with asyncio.timeout(SOON):
            results = await results_of(await submitted(commits, "a", "b"))
        lane.writing.let_go()
        await heals(commits, "c")

    assert [type(result) for result in results] == [StorageUnavailable] * 2
    assert [batch for batch in lane.writing.batches if batch != ["c"]] == [["a", "b"]]  # once and no more
    assert await lane.written() == ["c"]


async def test_a_server_that_falls_silent_is_given_up_at_the_deadline(lane: Lane, wire: Wire) -> None:
    async with lane.open(through=through(wire, lane), deadline=0.3) as commits:
        await commits.submit("a")
        wire.freeze()
        async with asyncio.timeout(SOON):
            with pytest.raises(StorageUnavailable):
                await commits.submit("b")
        wire.cut()
        wire.mend()
        await heals(commits, "c")


async def test_closing_ends_soon_while_the_server_is_away_and_everybody_is_told(
    lane: Lane, wire: Wire
) -> None:
    wire.cut()
    async with asyncio.timeout(SOON):
        async with lane.open(through=through(wire, lane), deadline=0.3) as commits:
            tasks = await submitted(commits, "a", "b")
        results = await results_of(tasks)
    assert [type(result) for result in results] == [StorageUnavailable] * 2


async def test_closing_ends_soon_while_the_server_is_silent_and_everybody_is_told(
    lane: Lane, wire: Wire
) -> None:
    async with asyncio.timeout(SOON):
        async with lane.open(through=through(wire, lane), deadline=0.3) as commits:
            await commits.submit("a")
            wire.freeze()
            tasks = await submitted(commits, "b", "c")
        results = await results_of(tasks)
    assert [type(result) for result in results] == [StorageUnavailable] * 2


async def test_closing_tells_who_is_still_in_flight_when_it_gives_up(lane: Lane) -> None:
    lane.writing.hold()
    commits = lane.open(deadline=0.2)
    async with asyncio.timeout(SOON):
        async with commits:
            tasks = await submitted(commits, "a")
            await lane.writing.has_begun(1)
            commits._deadline = 0.01  # closing is less patient than the transaction
        results = await results_of(tasks)
    assert isinstance(results[0], StorageUnavailable)


async def test_a_server_that_went_read_only_is_away_until_it_is_not(lane: Lane) -> None:
    """As a standby is, to which a connection was made after a failover."""
    setting = f'ALTER DATABASE "{database_name(lane.url)}" SET default_transaction_read_only'
    writable = make_conninfo(lane.url, options="-c default_transaction_read_only=off")
    async with await psycopg.AsyncConnection.connect(writable, autocommit=True) as connection:
        await connection.execute(f"{setting} = on")
        async with lane.open() as commits:
            with pytest.raises(StorageUnavailable):
                await commits.submit("a")
            await connection.execute(f"{setting} = off")
            await heals(commits, "b")
    assert await lane.written() == ["b"]

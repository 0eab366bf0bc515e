"""Intake: an order is accepted with everything that belongs to it, once per key, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

import psycopg
import pytest

from app.errors import NotExecutable, StorageUnavailable, UnknownOrder
from app.execution.intake import Accepted, Enqueue, Intake
from app.jobs.app import enqueue
from app.orders.model import new_order_id
from app.orders.tokens import BONK, USDC
from app.storage.database import Connection, connect, conninfo
from tests.builders import a_request
from tests.support.books import Books


def an_intake(books: Books, enqueue: Enqueue = enqueue) -> Intake:
    return Intake(conninfo(books.url, "intake"), books.database, enqueue)


async def count(books: Books) -> tuple[int, ...]:
    """How many orders, events and jobs there are."""
    [row] = await books.ask(
        "SELECT (SELECT count(*) FROM orders) AS orders, (SELECT count(*) FROM order_events) AS events,"
        " (SELECT count(*) FROM procrastinate_jobs) AS jobs"
    )
    return tuple(row)


async def test_order_event_job_and_notification_are_there_when_accept_returns(books: Books) -> None:
    listening = await connect(books.url)
    async with listening:
        await listening.execute("LISTEN order_events")
        request = a_request("18446744073709.551615", USDC, BONK, slippage_bps=5000, wallet="a wallet")
        order_id, replayed = await books.intake.accept(request, account="alice", key="k")

        assert not replayed
        [payload] = [n.payload async for n in listening.notifies(timeout=15, stop_after=1)]
    place, _position, status, *_ = payload.split(" ")
    assert (place, status) == (f"{order_id}:1", "pending")
    order = await books.order(order_id)
    assert (order.account, order.idempotency_key, order.type) == ("alice", "k", "market")
    assert (order.token_in, order.token_out, order.amount_in) == ("USDC", "BONK", 2**64 - 1)
    assert (order.slippage_bps, order.wallet, order.status, order.sequence) == (
        5000,
        "a wallet",
        "pending",
        1,
    )
    assert order.queued_at is not None
    assert await books.events(order_id) == [(1, "pending", {})]
    [job] = await books.jobs_of(order_id)
    assert (job.task_name, job.status, job.scheduled_at) == ("execute_orders", "todo", None)


async def test_an_order_that_is_only_stored_has_no_job(books: Books) -> None:
    order_id = await books.accept(queue=False)

    assert (await books.order(order_id)).queued_at is None
    assert await books.jobs_of(order_id) == []
    assert len(await books.events(order_id)) == 1


async def test_an_order_that_is_pruned_while_its_key_is_used_again_spoils_no_other(books: Books) -> None:
    known, request = await books.intake.accept(a_request(), key="known"), a_request()
    async with await connect(books.url) as reader, reader.transaction():
        await reader.execute("SELECT pg_advisory_xact_lock('order_log'::regclass::bigint)")  # see enter_log
        accepting = asyncio.gather(
            books.intake.accept(request, key="known"),
            *(books.intake.accept(request, key=key) for key in ("new", None)),
            return_exceptions=True,
        )
        await until_somebody_waits_for_the_log(books)
        await books.ask("DELETE FROM orders WHERE id = %s", known.order_id)
    refused, *accepted = await accepting

    assert isinstance(refused, StorageUnavailable)
    for outcome in accepted:
        assert isinstance(outcome, Accepted)
        assert await books.status(outcome.order_id) == "pending"
    assert not (await books.intake.accept(request, key="known")).replayed


async def until_somebody_waits_for_the_log(books: Books) -> None:
    query = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    while not await books.ask(query):  # noqa: ASYNC110  # happens in the database
        await asyncio.sleep(0.01)


async def test_orders_accepted_together_share_a_job_and_a_notification(books: Books) -> None:
    listening = await connect(books.url)
    async with listening:
        await listening.execute("LISTEN order_events")
        accepted = await asyncio.gather(
            *(books.intake.accept(a_request(), queue=i % 2 == 0) for i in range(10))
        )
        [payload] = [n.payload async for n in listening.notifies(timeout=15, stop_after=1)]

    named = [line.partition(" ")[0] for line in payload.split("\n")]
    assert sorted(named) == sorted(f"{order_id}:1" for order_id, _ in accepted)
    jobs = [await books.jobs_of(order_id) for order_id, _ in accepted]
    assert [len(each) for each in jobs] == [1, 0] * 5
    assert len({each[0].id for each in jobs if each}) == 1


BROKEN_TABLES = ["orders", "order_events", "procrastinate_jobs"]


@pytest.mark.parametrize("table", BROKEN_TABLES)
async def test_when_one_part_cannot_be_stored_nothing_is(books: Books, table: str) -> None:
    before = await count(books)
    await books.ask(
        "CREATE FUNCTION break_down() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'broken'; END $$"
    )
    await books.connection.execute(
        f"CREATE TRIGGER broken AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION break_down()".encode()
    )
    try:
        for accepts in (1, 3):
            results = await asyncio.gather(
                *(books.intake.accept(a_request()) for _ in range(accepts)), return_exceptions=True
            )
            assert all(isinstance(result, psycopg.errors.RaiseException) for result in results)
        assert await count(books) == before
    finally:
        await books.ask("DROP FUNCTION break_down CASCADE")
    await books.accept()
    assert await count(books) == tuple(number + 1 for number in before)


async def test_when_the_connection_is_lost_nothing_is_stored(books: Books) -> None:
    before = await count(books)
    await books.ask(
        "CREATE FUNCTION break_down() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$"
    )
    await books.ask(
        "CREATE TRIGGER broken AFTER INSERT ON procrastinate_jobs FOR EACH ROW EXECUTE FUNCTION break_down()"
    )
    try:
        with pytest.raises(StorageUnavailable):
            await books.intake.accept(a_request())
        assert await count(books) == before
    finally:
        await books.ask("DROP FUNCTION break_down CASCADE")


async def test_a_notification_that_fails_at_commit_leaves_nothing_behind(books: Books) -> None:
    before = await count(books)
    await books.ask(
        "CREATE FUNCTION break_down() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'broken'; END $$"
    )
    await books.ask(
        "CREATE CONSTRAINT TRIGGER broken AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION break_down()"
    )
    try:
        with pytest.raises(psycopg.errors.RaiseException):
            await books.intake.accept(a_request())
        assert await count(books) == before
    finally:
        await books.ask("DROP FUNCTION break_down CASCADE")


async def test_of_fifty_concurrent_executes_one_succeeds_and_there_is_one_job(books: Books) -> None:
    order_id = await books.accept(queue=False)

    results = await asyncio.gather(
        *(books.intake.execute(order_id) for _ in range(50)), return_exceptions=True
    )

    assert results.count(None) == 1
    assert all(isinstance(result, NotExecutable) for result in results if result is not None)
    assert len(await books.jobs_of(order_id)) == 1
    assert (await books.order(order_id)).queued_at is not None


async def test_what_is_queued_or_past_it_cannot_be_executed(books: Books) -> None:
    queued = await books.accept()
    claimed = (await books.claim(await books.accept())).order.id

    for order_id in (queued, claimed):
        with pytest.raises(NotExecutable):
            await books.intake.execute(order_id)
        assert len(await books.jobs_of(order_id)) == 1


async def test_an_order_of_nobody_and_one_of_somebody_else_are_equally_unknown(books: Books) -> None:
    of_alice, _ = await books.intake.accept(a_request(), account="alice", queue=False)

    for order_id in (new_order_id(), of_alice):
        with pytest.raises(UnknownOrder):
            await books.intake.execute(order_id)
    assert await books.jobs_of(of_alice) == []


async def _break(_connection: Connection, _orders: Sequence[UUID]) -> None:
    raise RuntimeError


async def test_an_execute_whose_job_cannot_be_queued_leaves_the_order_as_it_was(books: Books) -> None:
    order_id = await books.accept(queue=False)
    async with an_intake(books, _break) as intake:
        with pytest.raises(RuntimeError):
            await intake.execute(order_id)

    assert (await books.order(order_id)).queued_at is None
    await books.intake.execute(order_id)

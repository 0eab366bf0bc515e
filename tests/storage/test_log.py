"""The log: positions rise in the order of commits, nobody waits for an order while holding it, and it knows what it has lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
import psycopg
import pytest

from app.orders.lifecycle import Status
from app.storage.database import Connection, Database, connect, conninfo
from app.storage.log import LogEnds, LogReader
from app.storage.queries import QUERIES
from tests.builders import a_request
from tests.support.books import Books, a_move

DEADLINE: Final = 30.0
HELD: Final = "SELECT pg_try_advisory_xact_lock('order_log'::regclass::bigint)"
NEW_ORDER: Final = {
    "account": "default", "fingerprint": "00", "type": "market", "token_in": "SOL", "token_out": "USDC",
    "amount_in": 1, "slippage_bps": 50, "queue": True,
}  # fmt: skip


@pytest.fixture
async def log(database_url: str) -> AsyncIterator[LogReader]:
    async with Database(conninfo(database_url, "log")) as database:
        yield LogReader(database)


@pytest.fixture
async def own_books(database_url: str) -> AsyncIterator[Books]:
    """Of a log of this test's own."""
    async with Books(database_url) as books:
        yield books


async def call(connection: Connection, function: str, items: Sequence[Any]) -> list[Any]:
    cursor = psycopg.AsyncRawCursor(connection)
    await cursor.execute(QUERIES[function], (msgspec.json.encode(items).decode(),))
    return await cursor.fetchall()


async def waiting_for(books: Books, lock: str) -> None:
    """Until somebody waits for a lock of this kind."""
    async with asyncio.timeout(DEADLINE):
        while not await books.ask(  # noqa: ASYNC110  # it happens in the server
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = %s", lock
        ):
            await asyncio.sleep(0.01)


async def test_an_entry_is_the_event_with_whose_it_is_and_what_was_asked_for(
    own_books: Books, log: LogReader
) -> None:
    request = a_request("1.25", slippage_bps=70, wallet="a wallet")
    order_id = await own_books.accept(request)
    await own_books.bring_to(Status.BUILDING, order_id)

    page = await log.after(0, 10)

    assert [(entry.position, entry.event.sequence) for entry in page.entries] == [(1, 1), (2, 2), (3, 3)]
    assert {entry.event.order_id for entry in page.entries} == {order_id}
    assert [entry.request for entry in page.entries] == [request, None, None]
    assert {(entry.account, entry.wallet) for entry in page.entries} == {("default", "a wallet")}
    assert (page.ends, page.end, page.is_last) == (LogEnds(0, 3), 3, True)
    assert [event.position for event in await _events(own_books, order_id)] == [1, 2, 3]


async def test_the_log_is_read_in_pieces(own_books: Books, log: LogReader) -> None:
    await own_books.bring_to(Status.CONFIRMED)

    first, second, last = [await log.after(after, 2) for after in (0, 2, 4)]

    assert [(page.end, page.is_last) for page in (first, second, last)] == [(2, False), (4, False), (5, True)]
    assert await log.after(5, 2) == ([], LogEnds(0, 5), 5)
    assert await log.sequence_at((await own_books.ask("SELECT id FROM orders"))[0].id, 3) == 3


async def test_an_empty_log_stands_at_its_beginning(log: LogReader) -> None:
    assert await log.ends() == LogEnds(0, 0)
    assert await log.after(0, 10) == ([], LogEnds(0, 0), 0)


async def test_whoever_comes_second_into_the_log_waits_for_the_commit_of_the_first(
    own_books: Books, log: LogReader
) -> None:
    async with await connect(own_books.url) as first:
        async with first.transaction():
            await call(first, "accept_orders", [_new(UUID(int=1))])
            second = asyncio.create_task(own_books.accept())
            await waiting_for(own_books, "advisory")
            assert await log.ends() == LogEnds(0, 0)
        order_id = await second
    assert [entry.event.order_id for entry in (await log.after(0, 10)).entries] == [UUID(int=1), order_id]


async def test_a_transaction_that_is_rolled_back_leaves_a_gap_and_nothing_else(
    own_books: Books, log: LogReader
) -> None:
    async with await connect(own_books.url) as connection, connection.transaction(force_rollback=True):
        await call(connection, "accept_orders", [_new(UUID(int=1))])
    await own_books.accept()
    assert [entry.position for entry in (await log.after(0, 10)).entries] == [2]


@pytest.mark.parametrize("function", ["claim_orders", "move_orders", "accept_orders"])
async def test_nobody_who_waits_for_an_order_holds_the_log(own_books: Books, function: str) -> None:
    assert await _is_log_free_while_waiting(own_books, function)


@pytest.mark.parametrize("function", ["claim_orders", "move_orders", "accept_orders"])
async def test_who_entered_the_log_first_would_hold_it(own_books: Books, function: str) -> None:
    lock = "BEGIN PERFORM pg_advisory_xact_lock('order_log'::regclass::bigint);"
    await own_books.sabotage(function, "\nBEGIN\n", f"\n{lock}\n")
    assert not await _is_log_free_while_waiting(own_books, function)


async def test_whoever_overlaps_nobody_is_deadlocked(own_books: Books) -> None:
    worker = await own_books.a_worker()
    orders = [await own_books.accept() for _ in range(12)]
    steps = await asyncio.gather(*(_hustle(own_books.url, orders, worker, seed) for seed in range(6)))

    assert sum(steps) > 50
    positions = [row.position for row in await own_books.ask("SELECT position FROM order_events ORDER BY 1")]
    assert len(positions) == len(set(positions)) > 50


async def test_the_horizon_is_the_last_position_that_was_deleted(own_books: Books, log: LogReader) -> None:
    gone, kept = [(await own_books.bring_to(Status.FAILED)).order.id for _ in range(2)]
    await own_books.accept()

    await own_books.ask("DELETE FROM orders WHERE id = %s", gone)

    page = await log.after(0, 10)
    assert page.ends == LogEnds(3, 7)
    assert [entry.position for entry in page.entries] == [4, 5, 6, 7]
    await own_books.ask("DELETE FROM orders WHERE id = %s", gone)  # which is not there
    assert await log.ends() == LogEnds(3, 7)
    await own_books.ask("DELETE FROM orders WHERE id <> %s", kept)
    assert await log.ends() == LogEnds(7, 7)


async def test_an_emptied_log_ends_where_it_ended(own_books: Books, log: LogReader) -> None:
    await own_books.bring_to(Status.FAILED)
    await own_books.ask("DELETE FROM orders")

    assert await log.ends() == LogEnds(3, 3)
    assert await log.after(3, 10) == ([], LogEnds(3, 3), 3)


async def test_a_deletion_that_is_rolled_back_moves_no_horizon(own_books: Books, log: LogReader) -> None:
    await own_books.bring_to(Status.FAILED)
    async with own_books.connection.transaction(force_rollback=True):
        await own_books.ask("DELETE FROM orders")
        assert await log.ends() == LogEnds(0, 3)
    assert await log.ends() == LogEnds(0, 3)


def _new(order_id: UUID, key: str | None = None) -> dict[str, Any]:
    return {"id": order_id, "idempotency_key": key, **NEW_ORDER}


async def _events(books: Books, order_id: UUID) -> list[Any]:
    return await books.ask("SELECT * FROM order_events WHERE order_id = %s ORDER BY sequence", order_id)


async def _is_log_free_while_waiting(books: Books, function: str) -> bool:
    """Whether somebody else can enter the log while the call waits for a row that is held."""
    order_id = await books.accept()
    held = await books.claim(order_id)
    items: dict[str, list[Any]] = {
        "claim_orders": [{"id": order_id, "worker": await books.a_worker(), "max_deaths": 9}],
        "move_orders": [a_move(held, Status.BUILDING)],
        "accept_orders": [_new(UUID(int=1), "a key"), _new(UUID(int=2), "another key")],
    }
    if function == "claim_orders":
        await books.ledger.release(held.order)
    async with await connect(books.url) as holder, await connect(books.url) as waiter:
        async with holder.transaction(force_rollback=True):
            await holder.execute("SELECT FROM orders WHERE id = %s FOR UPDATE", (order_id,))
            await holder.execute(
                'INSERT INTO orders SELECT (jsonb_populate_record(o, \'{"id": "00000000-0000-0000-0000-000000000007",'
                ' "idempotency_key": "another key"}\')).* FROM orders o WHERE id = %s',
                (order_id,),
            )
            waiting = asyncio.create_task(call(waiter, function, items[function]))
            await waiting_for(books, "transactionid")
            is_free = bool((await books.ask(HELD))[0][0])
        await waiting
    return is_free


async def _hustle(url: str, orders: list[UUID], worker: int, seed: int) -> int:
    """Claims, moves and accepts in batches of any order; how many steps it made. Raises DeadlockDetected."""
    rng = random.Random(seed)
    steps = 0
    async with await connect(url) as connection:
        for _ in range(25):
            batch = rng.sample(orders, rng.randrange(1, len(orders)))
            match rng.randrange(4):
                case 0:
                    claims = [{"id": id_, "worker": worker, "max_deaths": 9} for id_ in batch]
                    steps += len(await call(connection, "claim_orders", claims))
                case 1:
                    keys = rng.sample(range(30), 4)
                    new = [_new(UUID(int=rng.getrandbits(128)), f"key {key}") for key in keys]
                    steps += len(await call(connection, "accept_orders", new))
                case _:
                    steps += len(await call(connection, "move_orders", await _moves(connection, batch)))
    return steps


async def _moves(connection: Connection, batch: Sequence[UUID]) -> list[dict[str, Any]]:
    """On from where the orders stand now, to and fro between routing and retrying."""
    rows = await (
        await connection.execute("SELECT id, fence, status FROM orders WHERE id = ANY (%s)", (list(batch),))
    ).fetchall()
    return [
        {
            "id": id_,
            "fence": fence,
            "source": status,
            "target": NEXT.get(status, "failed"),
            "data": {},
            "delay_ms": 0,
        }
        for id_, fence, status in rows
    ]


NEXT: Final = {"pending": "routing", "routing": "retrying", "retrying": "routing"}

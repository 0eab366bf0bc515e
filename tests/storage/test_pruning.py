"""Retention: what ended long ago goes, with all that hangs on it; nothing else does."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import LiteralString
from uuid import UUID

import pytest

from app.orders.lifecycle import Status
from app.storage.database import conninfo
from app.storage.pruning import parse_age, prune
from tests.support.books import Books
from tests.support.checker import broken_rules

DAYS_90 = dt.timedelta(days=90)
OLD = dt.timedelta(days=91)


async def prune_all(books: Books, batch: int = 100) -> list[int]:
    batches: list[int] = []
    await prune(conninfo(books.url, "prune"), DAYS_90, batches.append, batch=batch)
    return batches


async def an_order(
    books: Books, status: Status | None, ended: dt.timedelta, accepted: dt.timedelta = OLD
) -> UUID:
    """An order of that age, with an id of that age: the ones that the ledger makes are new."""
    order_id = await books.accept() if status is None else (await books.bring_to(status)).order.id
    await land(books, order_id)
    old_id = UUID(int=(order_id.int - (int(accepted.total_seconds() * 1000) << 80)))
    await books.ask("SET session_replication_role = replica")  # no triggers, no references
    for move in MOVES:
        await books.ask(move, old_id, order_id)
    await books.ask(
        "UPDATE orders SET created_at = created_at - %s, updated_at = updated_at - %s WHERE id = %s",
        accepted, ended, old_id,
    )  # fmt: skip
    await books.ask("SET session_replication_role = DEFAULT")
    return old_id


MOVES: tuple[LiteralString, ...] = (
    "UPDATE orders SET id = %s WHERE id = %s",
    "UPDATE order_events SET order_id = %s WHERE order_id = %s",
    "UPDATE order_attempts SET order_id = %s WHERE order_id = %s",
    "UPDATE simulated_chain.transactions SET order_id = %s WHERE order_id = %s",
)
LANDING: LiteralString = (
    "INSERT INTO simulated_chain.transactions (signature, order_id, attempt, venue, mint_in, mint_out, amount_in,"
    " min_out, route, last_valid_height, rank, received_at, lands_at, outcome, amount_out)"
    " SELECT signature, order_id, number, venue, 'in', 'out', 1, 1, '[]', last_valid_height, 0, now(), now(),"
    "        'confirmed', 1"
    "   FROM order_attempts WHERE order_id = %s"
)


async def land(books: Books, order_id: UUID) -> None:
    """The chain's side of a confirmed order."""
    if await books.status(order_id) == "confirmed":
        await books.ask(LANDING, order_id)


async def left(books: Books, order_id: UUID) -> list[int]:
    """How many rows of the order are left in each table."""
    [row] = await books.ask(
        "SELECT (SELECT count(*) FROM orders WHERE id = %s) AS orders,"
        " (SELECT count(*) FROM order_events WHERE order_id = %s) AS events,"
        " (SELECT count(*) FROM order_attempts WHERE order_id = %s) AS attempts,"
        " (SELECT count(*) FROM simulated_chain.transactions WHERE order_id = %s) AS landed",
        *[order_id] * 4,
    )
    return list(row)


async def test_an_order_that_ended_long_ago_goes_with_all_that_hangs_on_it(books: Books) -> None:
    order_id = await an_order(books, Status.CONFIRMED, OLD)
    assert await left(books, order_id) == [1, 5, 1, 1]

    assert sum(await prune_all(books)) >= 1
    assert await left(books, order_id) == [0, 0, 0, 0]


@pytest.mark.parametrize("status", [None, Status.ROUTING, Status.SUBMITTED, Status.RETRYING])
async def test_an_open_order_stays_however_old(books: Books, status: Status | None) -> None:
    order_id = await an_order(books, status, OLD)
    before = await left(books, order_id)

    await prune_all(books)
    assert await left(books, order_id) == before


async def test_an_order_that_ended_lately_stays_though_it_is_old(books: Books) -> None:
    order_id = await an_order(books, Status.CONFIRMED, dt.timedelta(days=89))

    await prune_all(books)
    assert await left(books, order_id) == [1, 5, 1, 1]


async def test_an_order_with_a_young_key_stays(books: Books) -> None:
    order_id = (await books.bring_to(Status.FAILED)).order.id

    await prune_all(books)
    assert (await left(books, order_id))[0] == 1


async def test_an_order_whose_funds_are_still_looked_for_stays(books: Books) -> None:
    order_id = await an_order(books, Status.FAILED, OLD)
    await books.ask("UPDATE orders SET funds_moved = 'unknown' WHERE id = %s", order_id)

    await prune_all(books)
    assert (await left(books, order_id))[0] == 1


async def test_it_goes_batch_by_batch_past_what_stays(books: Books) -> None:
    await prune_all(books)
    stays = [await an_order(books, None, OLD) for _ in range(3)]
    goes = [await an_order(books, Status.FAILED, OLD) for _ in range(5)]

    assert await prune_all(books, batch=2) == [2, 2, 1]
    assert [(await left(books, order_id))[0] for order_id in stays + goes] == [1] * 3 + [0] * 5


async def test_it_goes_on_after_it_was_interrupted(books: Books) -> None:
    await prune_all(books)
    orders = [await an_order(books, Status.FAILED, OLD) for _ in range(3)]
    first = asyncio.Event()
    run = asyncio.create_task(prune(conninfo(books.url, "prune"), DAYS_90, lambda _: first.set(), batch=1))
    await asyncio.wait_for(first.wait(), 30)
    run.cancel()
    await asyncio.wait({run})

    assert sum([(await left(books, order_id))[0] for order_id in orders]) > 0
    await prune_all(books)
    assert sum([(await left(books, order_id))[0] for order_id in orders]) == 0


async def test_the_ledger_stays_whole(books: Books) -> None:
    order_id = await an_order(books, Status.CONFIRMED, OLD)
    keeps = await an_order(books, Status.CONFIRMED, dt.timedelta(0), accepted=dt.timedelta(0))
    await prune_all(books)

    landed = await books.ask("SELECT order_id FROM simulated_chain.transactions WHERE outcome = 'confirmed'")
    found = await broken_rules(books.connection, [row.order_id for row in landed])
    assert not [rule for rule, orders in found.items() if {order_id, keeps} & set(orders)]


@pytest.mark.parametrize(("text", "days"), [("90d", 90), ("12w", 84), ("1d", 1), (" 36500d ", 36_500)])
def test_an_age_is_days_or_weeks(text: str, days: int) -> None:
    assert parse_age(text) == dt.timedelta(days=days)


@pytest.mark.parametrize(
    "text", ["", "0d", "90", "d", "-1d", "1.5d", "90m", "1e3d", "36501d", "999999w", "9999999d", "٣d", "90 d"]
)
def test_nonsense_is_no_age(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a duration|is out of range"):
        parse_age(text)

"""Events: append-only, numbered without a gap, and along the lifecycle even for who writes past the functions."""

from __future__ import annotations

import itertools

import psycopg
import pytest

from app.orders.lifecycle import TRANSITIONS, Status, is_allowed
from app.orders.model import new_order_id
from tests.support.books import Books

INSERT = "INSERT INTO order_events (order_id, sequence, previous, status) VALUES (%s, %s, %s, %s)"


async def test_an_event_cannot_be_changed(books: Books) -> None:
    order_id = await books.accept()

    with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        await books.ask("UPDATE order_events SET data = '{}' WHERE order_id = %s", order_id)


async def test_an_event_cannot_be_taken_back(books: Books) -> None:
    order_id = (await books.bring_to(Status.BUILDING)).order.id

    with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        await books.ask("DELETE FROM order_events WHERE order_id = %s AND sequence = 3", order_id)


async def test_events_go_with_their_order(books: Books) -> None:
    order_id = (await books.bring_to(Status.CONFIRMED)).order.id

    await books.ask("DELETE FROM orders WHERE id = %s", order_id)

    assert await books.events(order_id) == []


async def test_a_number_is_given_once(books: Books) -> None:
    order_id = await books.accept()
    await books.ask(INSERT, order_id, 2, "pending", "routing")

    with pytest.raises(psycopg.errors.UniqueViolation):
        await books.ask(INSERT, order_id, 2, "pending", "failed")


@pytest.mark.parametrize(
    ("sequence", "previous", "status"),
    [(1, None, "routing"), (2, None, "pending"), (1, "pending", "routing")],
)
async def test_only_the_first_event_has_none_before_it_and_it_is_pending(
    books: Books, sequence: int, previous: str | None, status: str
) -> None:
    order_id = await books.accept()
    await books.ask("SET session_replication_role = replica")
    await books.ask("DELETE FROM order_events WHERE order_id = %s", order_id)
    await books.ask("RESET session_replication_role")

    with pytest.raises(psycopg.errors.CheckViolation):
        await books.ask(INSERT, order_id, sequence, previous, status)


async def test_the_database_itself_knows_the_lifecycle(books: Books) -> None:
    rows = await books.ask("SELECT source, target, description FROM order_transitions")

    assert {tuple(row) for row in rows} == {(t.source.value, t.target.value, t.when) for t in TRANSITIONS}


@pytest.mark.parametrize("source", Status)
async def test_an_event_off_the_lifecycle_is_refused_whoever_writes_it(books: Books, source: Status) -> None:
    order_id = await books.accept()
    for sequence, (_, target) in enumerate(itertools.product([source], Status), start=2):
        if is_allowed(source, target):
            await books.ask(INSERT, order_id, sequence, source.value, target.value)
        else:
            with pytest.raises(psycopg.errors.ForeignKeyViolation):
                await books.ask(INSERT, order_id, sequence, source.value, target.value)


async def test_an_event_of_no_order_is_refused_whoever_writes_it(books: Books) -> None:
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="an event of no order"):
        await books.ask(INSERT, new_order_id(), 1, None, "pending")


async def test_an_order_that_is_deleted_takes_its_events_along(books: Books) -> None:
    kept, deleted = await books.accept(), await books.accept()
    await books.ask("DELETE FROM orders WHERE id = %s", deleted)

    assert [row.order_id for row in await books.ask("SELECT order_id FROM order_events")].count(kept) == 1
    assert await books.events(deleted) == []


@pytest.mark.parametrize(
    ("column", "value"), [("amount_in", 0), ("amount_in", -1), ("slippage_bps", 0), ("slippage_bps", 5001)]
)
async def test_an_order_out_of_range_is_refused_whoever_writes_it(
    books: Books, column: str, value: int
) -> None:
    order_id = await books.accept()

    with pytest.raises(psycopg.errors.CheckViolation):
        await books.ask(
            "UPDATE orders SET amount_in = CASE WHEN %s = 'amount_in' THEN %s ELSE amount_in END,"
            " slippage_bps = CASE WHEN %s = 'slippage_bps' THEN %s ELSE slippage_bps END WHERE id = %s",
            column, value, column, value, order_id,
        )  # fmt: skip

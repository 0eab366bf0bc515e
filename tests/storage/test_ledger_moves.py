"""Moves: along the lifecycle, by the holder alone, and everything that a move says in one transaction."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
from uuid import UUID

import msgspec
import psycopg
import pytest

from app.errors import LostClaim, StorageUnavailable
from app.orders.failures import Failure, FailureCode, FundsMoved
from app.orders.lifecycle import TRANSITIONS, Status, is_allowed
from app.orders.model import OrderEvent
from app.storage.ledger import Claimed
from app.storage.moves import failing
from tests.support.books import A_QUOTE, Books, a_move, a_transaction
from tests.support.checker import Violations, violations

DEADLINE = 15.0
PAIRS = list(itertools.product(Status, repeat=2))


async def put_at(books: Books, status: Status) -> Claimed:
    """A held order that is said to be in this status, whatever way there is."""
    claimed = await books.claim(await books.accept())
    await books.ask(
        "UPDATE orders SET status = %s, venue = 'raydium' WHERE id = %s", status.value, claimed.order.id
    )
    return claimed


@pytest.mark.parametrize(
    ("source", "target"), [pair for pair in PAIRS if not is_allowed(*pair)], ids=lambda status: status.value
)
async def test_a_move_off_the_lifecycle_is_refused(books: Books, source: Status, target: Status) -> None:
    claimed = await put_at(books, source)
    before = await books.order(claimed.order.id)

    with pytest.raises(LostClaim):
        await books.ledger.move(a_move(claimed, target, source=source))

    assert await books.order(claimed.order.id) == before
    assert len(await books.events(claimed.order.id)) == 2


@pytest.mark.parametrize("transition", TRANSITIONS, ids=lambda t: f"{t.source}-{t.target}")
async def test_a_move_along_the_lifecycle_is_made(
    books: Books, transition: tuple[Status, Status, str]
) -> None:
    source, target, _ = transition
    claimed = await put_at(books, source)

    event = await books.ledger.move(a_move(claimed, target, source=source, data={"said": 1}))

    assert (event.order_id, event.sequence, event.status) == (claimed.order.id, 3, target)
    assert (await books.events(claimed.order.id))[-1][:2] == (3, target)
    order = await books.order(claimed.order.id)
    assert (order.status, order.sequence, order.is_open) == (target, 3, not target.is_final)
    assert (order.claimed_by is not None) == target.is_held


@pytest.mark.parametrize("assumed", [s for s in Status if s not in {Status.BUILDING, Status.RETRYING}])
async def test_a_move_from_where_the_order_is_not_is_refused(books: Books, assumed: Status) -> None:
    claimed = await books.bring_to(Status.BUILDING)

    with pytest.raises(LostClaim):
        await books.ledger.move(a_move(claimed, Status.FAILED, source=assumed))


@pytest.mark.parametrize("fence", [-1, 0, 2, 100])
async def test_a_move_under_another_fence_is_refused(books: Books, fence: int) -> None:
    claimed = await books.bring_to(Status.BUILDING)

    with pytest.raises(LostClaim):
        await books.ledger.move(msgspec.structs.replace(a_move(claimed, Status.FAILED), fence=fence))


async def test_of_twenty_moves_of_one_order_at_once_one_is_made(books: Books) -> None:
    async with books.ledgers(5) as ledgers:
        for _ in range(5):
            claimed = await books.bring_to(Status.ROUTING)
            moves = (ledger.move(a_move(claimed, Status.BUILDING)) for ledger in ledgers * 4)
            results = await asyncio.gather(*moves, return_exceptions=True)

            assert sorted(type(result).__name__ for result in results) == ["LostClaim"] * 19 + ["OrderEvent"]
            assert await books.path(claimed.order.id) == ["pending", "routing", "building"]


async def a_paused_worker_wakes_up(books: Books) -> Violations:
    """A worker falls asleep with an expired transaction in its hands; its successor has sent the next one already."""
    sent: list[UUID] = []
    sleeper = await books.bring_to(Status.SUBMITTED)  # attempt 1: expired, and known to be
    order_id = sleeper.order.id
    await books.bury((await books.order(order_id)).claimed_by)

    successor = await books.claim(order_id)
    await books.ledger.move(a_move(successor, Status.RETRYING))
    await books.make_due(order_id)
    successor = await books.bring_to(Status.SUBMITTED, order_id)  # attempt 2
    sent.append(order_id)

    try:
        await books.ledger.move(a_move(sleeper, Status.RETRYING))
    except LostClaim:
        await books.ledger.move(a_move(successor, Status.CONFIRMED))
    else:  # attempt 2 counts as expired now, so a third one goes out
        await books.make_due(order_id)
        third = await books.bring_to(Status.SUBMITTED, order_id)
        sent.append(order_id)
        await books.ledger.move(a_move(third, Status.CONFIRMED))
    return await violations(books.url, landed=sent, of=[order_id])


async def test_a_worker_that_wakes_up_too_late_is_refused(books: Books) -> None:
    assert await a_paused_worker_wakes_up(books) == {}


async def test_without_the_fence_a_worker_that_wakes_up_too_late_fills_the_order_twice(
    database_url: str,
) -> None:
    async with Books(database_url) as books:
        await books.sabotage("move_orders", "AND o.fence = w.fence")

        assert "filled_twice" in await a_paused_worker_wakes_up(books)


async def test_a_stored_attempt_is_what_was_signed_and_is_resolved_by_its_outcome(books: Books) -> None:
    claimed = await books.bring_to(Status.SUBMITTED)
    transaction = a_transaction(claimed)

    [attempt] = await books.attempts(claimed.order.id)
    assert (attempt.number, attempt.venue, attempt.signature) == (1, "raydium", transaction.signature)
    assert (bytes(attempt.raw), attempt.min_out) == (transaction.raw, transaction.min_out)
    assert (attempt.last_valid_height, attempt.outcome, attempt.resolved_at) == (1000, None, None)

    await books.ledger.move(a_move(claimed, Status.CONFIRMED, amount_out=7))

    [attempt] = await books.attempts(claimed.order.id)
    order = await books.order(claimed.order.id)
    assert (attempt.outcome, attempt.resolved_at is None) == ("landed", False)
    assert (order.signature, order.amount_out, order.venue) == (transaction.signature, 7, "raydium")
    assert (order.quoted_out, order.fee_bps) == (A_QUOTE.amount_out, A_QUOTE.fee_bps)


async def test_two_moves_that_follow_one_another_are_one_transaction(books: Books) -> None:
    claims = [await books.bring_to(Status.ROUTING) for _ in range(3)]
    stale = msgspec.structs.replace(a_move(claims[2], Status.BUILDING), fence=7)
    pairs = [
        [a_move(claimed, Status.BUILDING), a_move(claimed, Status.SUBMITTED, source=Status.BUILDING)]
        for claimed in claims
    ]
    pairs[2][0] = stale

    moves = (books.ledger.move(move) for pair in pairs for move in pair)
    *events, late, later = await asyncio.gather(*moves, return_exceptions=True)

    assert [(event.sequence, event.status) for event in events if isinstance(event, OrderEvent)] == [
        (3, "building"), (4, "submitted"),
    ] * 2  # fmt: skip
    assert [type(refused) for refused in (late, later)] == [LostClaim] * 2
    for claimed, pair in zip(claims[:2], pairs, strict=False):
        [attempt] = await books.attempts(claimed.order.id)
        order = await books.order(claimed.order.id)
        assert (order.quoted_out, order.signature, order.sequence) == (
            A_QUOTE.amount_out,
            attempt.signature,
            4,
        )
        rows = await books.ask(
            "SELECT status::text, previous::text, data, xmin::text FROM order_events"
            " WHERE order_id = %s AND sequence > 2 ORDER BY sequence",
            claimed.order.id,
        )
        assert [row[:3] for row in rows] == [
            ("building", "routing", pair[0].data), ("submitted", "building", pair[1].data),
        ]  # fmt: skip
        assert rows[0][3] == rows[1][3]


async def test_of_one_order_no_two_transactions_are_alive(books: Books) -> None:
    claimed = await books.bring_to(Status.SUBMITTED)
    unresolved = a_move(claimed, Status.RETRYING, outcome=None)
    await books.ledger.move(unresolved)
    await books.make_due(claimed.order.id)
    again = await books.bring_to(Status.BUILDING, claimed.order.id)

    with pytest.raises(psycopg.errors.UniqueViolation, match="order_attempts_one_alive"):
        await books.ledger.move(a_move(again, Status.SUBMITTED))
    assert (await books.order(claimed.order.id)).status == "building"


async def test_a_move_that_the_database_refuses_fails_alone(books: Books) -> None:
    taken = await books.bring_to(Status.SUBMITTED)
    neighbours = [await books.bring_to(Status.BUILDING) for _ in range(3)]
    moves = [a_move(claimed, Status.SUBMITTED) for claimed in neighbours]
    moves[1] = a_move(neighbours[1], Status.SUBMITTED, signature=a_transaction(taken).signature)

    results = await asyncio.gather(*(books.ledger.move(move) for move in moves), return_exceptions=True)

    assert isinstance(results[1], psycopg.errors.UniqueViolation)
    assert [await books.status(claimed.order.id) for claimed in neighbours] == [
        "submitted", "building", "submitted",
    ]  # fmt: skip


async def test_a_failed_order_says_why(books: Books) -> None:
    claimed = await books.bring_to(Status.BUILDING)
    failure = Failure(FailureCode.SLIPPAGE_EXCEEDED, "the price moved", FundsMoved.NO)

    await books.ledger.move(a_move(claimed, Status.FAILED, **failing(failure)))

    order = await books.order(claimed.order.id)
    assert (order.failure_code, order.failure_message, order.funds_moved) == (
        "slippage_exceeded", "the price moved", "no",
    )  # fmt: skip


async def test_a_retrying_order_is_due_by_the_clock_of_the_database_and_has_its_job(books: Books) -> None:
    claimed = await books.bring_to(Status.SUBMITTED)
    [before] = await books.ask("SELECT clock_timestamp() AS now")

    event = await books.ledger.move(a_move(claimed, Status.RETRYING, delay_ms=1500))

    [after] = await books.ask("SELECT clock_timestamp() AS now")
    delay = dt.timedelta(milliseconds=1500)
    order = await books.order(claimed.order.id)
    assert before.now + delay <= order.next_attempt_at <= after.now + delay
    job = (await books.jobs_of(order.id))[-1]
    assert (job.task_name, job.queue_name, job.status) == ("execute_orders", "orders", "todo")
    assert job.priority == 1  # once it is due it goes before those that have not had their turn
    assert (job.scheduled_at, job.args) == (order.next_attempt_at, {"order_ids": [str(order.id)]})
    said = (await books.events(order.id))[-1].data["nextAttemptAt"]
    assert bytes(event.data).decode().count(said) == 1
    assert dt.datetime.fromisoformat(said) == order.next_attempt_at.replace(
        microsecond=order.next_attempt_at.microsecond // 1000 * 1000
    )


async def test_an_order_is_not_retrying_when_its_job_cannot_be_queued(books: Books) -> None:
    claimed = await books.bring_to(Status.SUBMITTED)
    before = await books.order(claimed.order.id)
    await books.ask(
        "CREATE FUNCTION break_down() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'broken'; END $$"
    )
    await books.ask(
        "CREATE TRIGGER broken BEFORE INSERT ON procrastinate_jobs FOR EACH ROW EXECUTE FUNCTION break_down()"
    )
    try:
        with pytest.raises(psycopg.errors.RaiseException):
            await books.ledger.move(a_move(claimed, Status.RETRYING))
    finally:
        await books.ask("DROP FUNCTION break_down CASCADE")

    assert await books.order(claimed.order.id) == before
    assert len(await books.events(claimed.order.id)) == before.sequence
    assert len(await books.jobs_of(claimed.order.id)) == 1


async def test_a_ledger_that_is_closed_refuses(books: Books) -> None:
    claimed = await books.bring_to(Status.ROUTING)
    ledger = books.a_ledger()
    async with ledger:
        pass
    with pytest.raises(StorageUnavailable):
        await ledger.move(a_move(claimed, Status.BUILDING))

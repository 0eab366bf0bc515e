"""A claim that has to wait for somebody else's move: what it then says of the order is all of one moment."""

from __future__ import annotations

import asyncio
from uuid import UUID

import msgspec

from app.orders.lifecycle import Status
from app.orders.model import Attempt
from app.storage.database import connect, conninfo
from app.storage.ledger import Claimed
from app.storage.moves import Move
from tests.support.books import Books, a_move, a_transaction

CLAIM = "SELECT order_id, signature FROM claim_orders(%s::json)"
MOVE = "SELECT * FROM move_orders(%s::json)"


async def _waiting_for_a_lock(books: Books) -> None:
    async with asyncio.timeout(10):
        while not await books.ask(  # noqa: ASYNC110  # it happens in the server
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ):
            await asyncio.sleep(0.01)


def _json(move: Move) -> str:
    return msgspec.json.encode([move]).decode()


async def test_a_claim_that_waited_for_a_late_move_knows_the_attempt_that_it_stored(books: Books) -> None:
    worker = await books.a_worker()
    held = await books.claim(await books.accept(), worker)
    await books.ledger.move(a_move(held, Status.BUILDING))
    late = a_move(held, Status.SUBMITTED, source=Status.BUILDING)
    await books.bury(worker)

    connection = await connect(conninfo(books.url, "a worker that was asleep"))
    try:
        async with connection.transaction():
            await connection.execute(MOVE, (_json(late),))
            claiming = asyncio.create_task(books.claim(held.order.id))
            await _waiting_for_a_lock(books)
    finally:
        await connection.close()

    order = (await claiming).order
    assert order.status is Status.SUBMITTED
    assert order.unresolved == Attempt(1, "raydium", a_transaction(held))


async def test_a_claim_that_waited_for_another_order_knows_the_newest_attempt(books: Books) -> None:
    blocking, order_id = await books.accept(), await books.accept()
    await books.ledger.release((await books.bring_to(Status.SUBMITTED, order_id)).order)
    claims = [
        {"id": str(id_), "worker": await books.a_worker(), "max_deaths": 9} for id_ in (blocking, order_id)
    ]

    async with (
        await connect(conninfo(books.url, "holds the first order")) as holder,
        await connect(conninfo(books.url, "wants both")) as claimer,
    ):
        async with holder.transaction():
            await holder.execute("SELECT FROM orders WHERE id = %s FOR UPDATE", (blocking,))
            claiming = asyncio.create_task(claimer.execute(CLAIM, (msgspec.json.encode(claims).decode(),)))
            await _waiting_for_a_lock(books)
            newest = await _with_a_second_attempt(books, order_id)
        found: dict[UUID, str] = dict(await (await claiming).fetchall())

    assert found[order_id] == a_transaction(newest).signature


async def _with_a_second_attempt(books: Books, order_id: UUID) -> Claimed:
    """Somebody finds that the first attempt failed, signs another one, and hands the order back."""
    claimed = await books.claim(order_id)
    await books.ledger.move(a_move(claimed, Status.RETRYING, delay_ms=0))
    held = await books.bring_to(Status.SUBMITTED, order_id)
    await books.ledger.release(held.order)
    return held

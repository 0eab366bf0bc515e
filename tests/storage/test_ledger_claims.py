"""Claims: one winner per order, and a worker that died is succeeded."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from app.errors import LostClaim
from app.orders.failures import Failure, FailureCode
from app.orders.lifecycle import Status
from app.orders.model import new_order_id
from app.storage.ledger import Claimed, Suspect
from app.storage.moves import failing
from tests.builders import a_request
from tests.support.books import A_QUOTE, Books, a_move, a_transaction
from tests.support.checker import violations

A_WHILE = dt.timedelta(seconds=2)
TOO_LONG = dt.timedelta(seconds=6)


async def test_of_fifty_concurrent_claims_one_wins(books: Books) -> None:
    order_id = await books.accept()
    workers = [await books.a_worker() for _ in range(50)]
    async with books.ledgers(5) as ledgers:
        claims = (ledgers[i % 5].claim(order_id, worker, 1) for i, worker in enumerate(workers))
        winners = [claim for claim in await asyncio.gather(*claims) if claim is not None]

    assert len(winners) == 1
    assert isinstance(winners[0], Claimed)
    assert [event.status for event in await books.events(order_id)] == ["pending", "routing"]
    order = await books.order(order_id)
    assert (order.fence, order.attempt, order.sequence) == (1, 1, 2)


async def test_fifty_orders_claimed_by_four_workers_at_once_have_one_winner_each(books: Books) -> None:
    orders = [await books.accept() for _ in range(50)]
    async with books.ledgers(4) as ledgers:
        claims = [
            ledger.claim(order_id, worker, 1)
            for ledger, step in zip(ledgers, (1, -1, 1, -1), strict=True)  # from both ends: no deadlock
            for worker in [await books.a_worker()]
            for order_id in orders[::step]
        ]
        won = [claim.order.id for claim in await asyncio.gather(*claims) if isinstance(claim, Claimed)]

    assert sorted(won) == sorted(orders)


async def test_a_claimed_order_says_all_there_is_to_know(books: Books) -> None:
    request = a_request("2.5", slippage_bps=70, wallet="a wallet")
    order_id = await books.accept(request)

    claimed = await books.claim(order_id)

    assert claimed.order.request == request
    assert (claimed.order.status, claimed.order.sequence, claimed.order.attempt) == (Status.ROUTING, 2, 1)
    assert (claimed.order.quote, claimed.order.unresolved, claimed.deaths) == (None, None, 0)
    assert claimed.event is not None
    assert (claimed.event.sequence, claimed.event.status) == (2, "routing")
    assert bytes(claimed.event.data) == b'{"attempt":1}'
    assert (await books.events(order_id))[1].data == {"attempt": 1}


async def test_an_order_that_a_later_version_stored_is_left_to_it_and_hurts_no_other(books: Books) -> None:
    [unreadable, readable] = [await books.accept() for _ in range(2)]
    await books.ask("UPDATE orders SET scenario = 'of a later version' WHERE id = %s", unreadable)
    worker = await books.a_worker()

    refused, claimed = await asyncio.gather(
        *(books.ledger.claim(order_id, worker, 1) for order_id in (unreadable, readable)),
        return_exceptions=True,
    )

    assert isinstance(refused, ValueError)
    assert isinstance(claimed, Claimed)
    assert (await books.order(readable)).fence == 1
    order = await books.order(unreadable)
    assert (order.claimed_by, order.deaths) == (None, 0)


@pytest.mark.parametrize("status", [Status.ROUTING, Status.BUILDING, Status.SUBMITTED])
async def test_an_order_in_the_hands_of_a_live_worker_is_left_to_it(books: Books, status: Status) -> None:
    claimed = await books.bring_to(status)
    await books.ask("UPDATE procrastinate_workers SET last_heartbeat = clock_timestamp() - %s", A_WHILE)

    assert await books.ledger.claim(claimed.order.id, await books.a_worker(), 100) is None
    assert (await books.order(claimed.order.id)).fence == claimed.order.fence


@pytest.mark.parametrize("is_buried", [True, False], ids=["gone", "silent"])
@pytest.mark.parametrize("status", [Status.ROUTING, Status.BUILDING, Status.SUBMITTED])
async def test_an_order_of_a_dead_worker_is_taken_over_where_it_stands(
    books: Books, status: Status, is_buried: bool
) -> None:
    before = await books.bring_to(status)
    holder = (await books.order(before.order.id)).claimed_by
    if is_buried:
        await books.bury(holder)
    else:
        await books.outlive_the_start()
        await books.ask(
            "UPDATE procrastinate_workers SET last_heartbeat = clock_timestamp() - %s WHERE id = %s",
            TOO_LONG,
            holder,
        )

    after = await books.claim(before.order.id)

    assert (after.event, after.deaths) == (None, 1)
    assert (after.order.status, after.order.sequence, after.order.attempt) == (
        status, before.order.sequence, 1,
    )  # fmt: skip
    assert after.order.fence == before.order.fence + 1
    assert after.order.quote == (None if status is Status.ROUTING else A_QUOTE)
    unresolved = after.order.unresolved
    assert (unresolved is None) == (status is not Status.SUBMITTED)
    if unresolved is not None:
        assert (unresolved.number, unresolved.venue) == (1, "raydium")
        assert unresolved.transaction == a_transaction(before)


async def test_what_is_not_to_be_executed_is_not_claimed(books: Books) -> None:
    worker = await books.a_worker()
    stored = await books.accept(queue=False)
    confirmed = (await books.bring_to(Status.CONFIRMED)).order.id
    failed = (await books.bring_to(Status.FAILED)).order.id
    retrying = (await books.bring_to(Status.RETRYING)).order.id

    for order_id in (stored, confirmed, failed, retrying, new_order_id()):
        assert await books.ledger.claim(order_id, worker, 100) is None


async def test_a_retrying_order_is_claimed_once_its_time_has_come(books: Books) -> None:
    order_id = (await books.bring_to(Status.RETRYING)).order.id
    await books.make_due(order_id)

    claimed = await books.claim(order_id)

    assert (claimed.order.status, claimed.order.attempt, claimed.deaths) == (Status.ROUTING, 2, 0)
    assert (await books.events(order_id))[-1].data == {"attempt": 2}
    assert (await books.order(order_id)).next_attempt_at is None


async def test_a_worker_that_claims_what_it_holds_gets_a_new_fence_and_nobody_has_died(books: Books) -> None:
    worker = await books.a_worker()
    first = await books.claim(await books.accept(), worker)
    second = await books.claim(first.order.id, worker)

    assert second.order.fence == first.order.fence + 1
    assert second.deaths == 0
    with pytest.raises(LostClaim):
        await books.ledger.move(a_move(first, Status.BUILDING))
    await books.ledger.move(a_move(second, Status.BUILDING))


async def test_each_death_is_counted_once(books: Books) -> None:
    order_id = await books.accept()
    for deaths in range(4):
        claimed = await books.claim(order_id)
        assert claimed.deaths == deaths
        await books.bury((await books.order(order_id)).claimed_by)
    assert (await books.order(order_id)).deaths == 3


async def test_an_order_that_too_many_died_with_is_named_and_left_alone(books: Books) -> None:
    order_id = await books.accept()
    for _ in range(2):
        await books.bury((await books.order((await books.claim(order_id)).order.id)).claimed_by)
    before = await books.order(order_id)

    assert await books.ledger.claim(order_id, await books.a_worker(), 1) == Suspect(deaths=2)
    assert await books.order(order_id) == before
    claimed = await books.ledger.claim(order_id, await books.a_worker(), 2)
    assert isinstance(claimed, Claimed)
    assert claimed.deaths == 2


@pytest.mark.parametrize("status", [Status.ROUTING, Status.BUILDING, Status.SUBMITTED])
async def test_an_order_handed_back_is_free_at_once_and_nobody_has_died(books: Books, status: Status) -> None:
    claimed = await books.bring_to(status)
    await books.ledger.release(claimed.order)

    assert (await books.order(claimed.order.id)).claimed_by is None
    successor = await books.claim(claimed.order.id)
    assert (successor.order.status, successor.deaths) == (status, 0)
    with pytest.raises(LostClaim):
        await books.ledger.move(a_move(claimed, Status.FAILED))


async def test_an_order_that_broke_the_engine_is_handed_back_as_a_death(books: Books) -> None:
    claimed = await books.bring_to(Status.BUILDING)
    await books.ledger.release(claimed.order, died=True)

    assert (await books.claim(claimed.order.id)).deaths == 1


async def test_nobody_hands_back_what_somebody_else_holds(books: Books) -> None:
    old = await books.bring_to(Status.BUILDING)
    await books.bury((await books.order(old.order.id)).claimed_by)
    new = await books.claim(old.order.id)

    with pytest.raises(LostClaim):
        await books.ledger.release(old.order, died=True)

    order = await books.order(old.order.id)
    assert (order.claimed_by is None, order.deaths, order.fence) == (False, 1, new.order.fence)


@pytest.mark.parametrize("status", [Status.RETRYING, Status.CONFIRMED, Status.FAILED])
async def test_an_order_at_rest_cannot_be_handed_back(books: Books, status: Status) -> None:
    claimed = await books.bring_to(status)

    with pytest.raises(LostClaim):
        await books.ledger.release(claimed.order)


async def test_everything_that_one_batch_wants_of_one_order_happens_one_after_the_other(books: Books) -> None:
    order_id = await books.accept()
    first, second = await books.a_worker(), await books.a_worker()
    claims = await asyncio.gather(*(books.ledger.claim(order_id, worker, 1) for worker in (first, second)))
    won = claims[0]
    assert isinstance(won, Claimed)
    assert claims[1] is None

    results = await asyncio.gather(
        books.ledger.move(a_move(won, Status.BUILDING)),
        books.ledger.move(a_move(won, Status.BUILDING)),
        books.ledger.move(a_move(won, Status.FAILED, source=Status.BUILDING, **failing(Failure(FailureCode.POISONED, "x")))),
        books.ledger.release(won.order),
        return_exceptions=True,
    )  # fmt: skip

    assert [type(result).__name__ for result in results] == [
        "OrderEvent", "LostClaim", "OrderEvent", "LostClaim",
    ]  # fmt: skip
    assert [event.status for event in await books.events(order_id)] == [
        "pending", "routing", "building", "failed",
    ]  # fmt: skip
    assert await violations(books.url, landed=[], of=[order_id]) == {}


async def test_a_ledger_that_lost_its_connection_while_idle_goes_on(books: Books) -> None:
    order_id = await books.accept()
    ledger = books.a_ledger()
    async with ledger:
        await ledger.claim(new_order_id(), 1, 1)
        await books.ask(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name = 'order-engine ledger' AND datname = current_database()"
        )
        assert isinstance(await ledger.claim(order_id, 1, 1), Claimed)

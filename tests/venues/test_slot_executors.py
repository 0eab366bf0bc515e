"""Whoever executes a slot, whoever dies at it or comes too late: it is executed once, and whole."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress

import pytest

from app.orders.model import SignedTransaction
from app.storage.database import connect, conninfo
from app.venues.port import TxState
from app.venues.simulated.chain import Chain, ChainUnreachable
from app.venues.simulated.exchange import Exchange
from app.venues.simulated.landing import Landing, Outcome, land
from app.venues.simulated.market import SLOT_MS, Market
from app.venues.simulated.records import NOTHING_HELD, Records

from .builders import A_SLOT, a_chain, an_exchange, rows, stop_clock, until
from .slots import dump, signed, statuses

MARKET = Market(0)


async def test_a_process_that_dies_in_the_middle_of_a_slot_leaves_nothing_half_done(
    database_url: str,
) -> None:
    await stop_clock(database_url, A_SLOT)
    transactions = [signed(number) for number in range(10)]
    async with a_chain(database_url, slot_ms=SLOT_MS) as chain:
        await asyncio.gather(*map(chain.submit, transactions))
        await stop_clock(database_url, A_SLOT + 1)
        before = await dump(database_url)
        # It has taken what is due, computed it, and is gone before its one statement is committed.
        dying = await connect(conninfo(database_url, "dying"))
        records = Records(MARKET, 0, SLOT_MS)
        taken = await records.take_due(dying, NOTHING_HELD)
        assert taken is not None
        assert len(taken.due) == 10
        exchange = an_exchange(A_SLOT)
        landings = {due.signature: land(exchange, due, 0) for due in taken.due}
        async with dying.transaction(force_rollback=True):
            assert await records.land(dying, taken.market.version, exchange, landings)
        await dying.close()
        assert (await dump(database_url))[1:] == before[1:]
        states = {(await chain.status(tx.signature)).state for tx in transactions}
        assert states <= {TxState.PROCESSED, TxState.CONFIRMED}  # never unknown: it may be landing
        landed = await statuses(chain, transactions)
    assert [status.amount_out for status in landed] == [
        landings[tx.signature].amount_out for tx in transactions
    ]


async def test_of_two_that_execute_a_slot_one_writes_it(database_url: str) -> None:
    await stop_clock(database_url, A_SLOT)
    transactions = [signed(number) for number in range(10)]
    async with a_chain(database_url, slot_ms=SLOT_MS) as chain:
        await asyncio.gather(*map(chain.submit, transactions))
        await stop_clock(database_url, A_SLOT + 1)
        records = Records(MARKET, 0, SLOT_MS)
        async with AsyncExitStack() as stack:
            late = await stack.enter_async_context(await connect(conninfo(database_url, "late")))
            taken, *again = [await records.take_due(late, NOTHING_HELD) for _ in range(5)]
            assert taken is not None
            assert None in again  # somebody is at it, for 300 ms, which every machine may once let pass
            await rows(database_url, "UPDATE simulated_chain.markets SET taken_until = '-infinity'")
            await statuses(chain, transactions)
            after = await dump(database_url)
            exchange = an_exchange(A_SLOT)
            landings = {due.signature: land(exchange, due, 0) for due in taken.due}
            assert not await records.land(late, taken.market.version, exchange, landings)
        assert await dump(database_url) == after


async def test_a_transaction_lands_on_one_market_though_two_have_taken_it(database_url: str) -> None:
    await stop_clock(database_url, A_SLOT)
    transaction = signed(1)
    async with a_chain(database_url, slot_ms=SLOT_MS) as chain:
        await chain.submit(transaction)
    await stop_clock(database_url, A_SLOT + 1)
    markets, landings = (Market(0), Market(7)), (Landing(Outcome.CONFIRMED, 5), Landing(Outcome.CONFIRMED, 6))
    async with AsyncExitStack() as stack:
        first, second = [
            await stack.enter_async_context(await connect(conninfo(database_url, f"seed {market.seed}")))
            for market in markets
        ]
        books = [Records(market, 0, SLOT_MS) for market in markets]
        for record, connection in zip(books, (first, second), strict=True):
            taken = await record.take_due(connection, NOTHING_HELD)
            assert taken is not None
        exchanges = [Exchange(market, A_SLOT) for market in markets]
        results = {transaction.signature: landings[0]}, {transaction.signature: landings[1]}
        async with first.transaction():
            assert await books[0].land(first, 0, exchanges[0], results[0])
            late = asyncio.create_task(books[1].land(second, 0, exchanges[1], results[1]))
            await until(lambda: _waits_for_a_lock(database_url))
        assert not await late
    landed = await rows(database_url, "SELECT amount_out FROM simulated_chain.transactions")
    assert landed == [(5,)]
    assert await rows(database_url, "SELECT seed, version FROM simulated_chain.markets ORDER BY 1") == [
        ("0", 1),
        ("7", 0),
    ]


async def test_who_finds_nothing_left_to_execute_lands_nothing(database_url: str) -> None:
    await stop_clock(database_url, A_SLOT)
    async with a_chain(database_url) as chain:
        await statuses(chain, [await _handed_in(chain, 1)])
        async with await connect(conninfo(database_url, "late")) as late:
            assert await Records(MARKET, 0, 0).take_due(late, NOTHING_HELD) is None
        assert await rows(database_url, "SELECT version FROM simulated_chain.markets") == [(1,)]
        await statuses(chain, [await _handed_in(chain, 2)])  # and keeps nobody from the next one
    assert await rows(database_url, "SELECT version FROM simulated_chain.markets") == [(2,)]


async def test_a_slot_with_more_than_lands_at_once_ends_as_one_that_lands_at_once(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    transactions = [signed(number) for number in range(23)]
    dumps = []
    for most in (256, 4):
        monkeypatch.setattr("app.venues.simulated.records.MOST_AT_ONCE", most)
        monkeypatch.setattr("app.venues.simulated.chain.MOST_AT_ONCE", most)
        await rows(database_url, "TRUNCATE simulated_chain.transactions, simulated_chain.markets CASCADE")
        await stop_clock(database_url, A_SLOT)
        async with a_chain(database_url, slot_ms=SLOT_MS) as chain:
            await asyncio.gather(*map(chain.submit, transactions))
            await stop_clock(database_url, A_SLOT + 1)
            await statuses(chain, transactions)
        dumps.append(await dump(database_url))
    assert dumps[0] == dumps[1]


async def test_what_was_handed_in_under_another_seed_lands_all_the_same(database_url: str) -> None:
    """A worker that is started with another seed has to end what was on its way."""
    await stop_clock(database_url, A_SLOT)
    async with a_chain(database_url, slot_ms=SLOT_MS) as chain:
        transaction = signed(1)
        await chain.submit(transaction)
    await stop_clock(database_url, A_SLOT + 1)
    async with Chain(
        Market(7), conninfo(database_url, "other"), execution_delay_ms=0, failure_rate=0, slot_ms=SLOT_MS
    ) as chain:
        [status] = await statuses(chain, [transaction])
    assert status.state is TxState.CONFIRMED
    assert await rows(database_url, "SELECT DISTINCT seed FROM simulated_chain.pools") == [("7",)]


async def test_a_landing_that_was_lost_with_its_server_is_forgotten(database_url: str) -> None:
    """The one that took over may not have it, and somebody else make that version anew."""
    await stop_clock(database_url, A_SLOT)
    lost, other, last = (signed(number) for number in (1, 2, 3))
    async with a_chain(database_url) as one, a_chain(database_url) as another:
        await _landed(one, lost)
        await _lose_everything(database_url)
        await _landed(another, other)
        await _landed(one, last)
        after_the_loss = await dump(database_url)
    await _lose_everything(database_url)
    async with a_chain(database_url) as chain:
        await _landed(chain, other)
        await _landed(chain, last)
    assert await dump(database_url) == after_the_loss


async def _landed(chain: Chain, transaction: SignedTransaction) -> None:
    with suppress(ChainUnreachable):  # it has noticed the loss
        await chain.submit(transaction)
    await chain.submit(transaction)
    await statuses(chain, [transaction])


async def _lose_everything(database_url: str) -> None:
    await rows(
        database_url,
        "TRUNCATE simulated_chain.markets, simulated_chain.pools, simulated_chain.transactions",
    )
    await rows(
        database_url,
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )


async def _handed_in(chain: Chain, number: int) -> SignedTransaction:
    transaction = signed(number)
    await chain.submit(transaction)
    return transaction


async def _waits_for_a_lock(database_url: str) -> bool:
    query = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(await rows(database_url, query))

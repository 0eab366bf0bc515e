"""The simulated chain: lands each transaction once or never, judged by the database's clock alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest
from msgspec.structs import replace

from app.errors import QuoteUnavailable, SubmissionRejected, Unfillable, VenueError
from app.orders.amounts import U64_MAX, min_amount_out
from app.orders.failures import FailureCode, FundsMoved
from app.orders.model import new_order_id
from app.orders.tokens import BONK, SOL
from app.venues.port import SwapOrder, TxState, TxStatus
from app.venues.simulated.transaction import sign

from .builders import (
    A_SLOT,
    AN_HOUR_MS,
    a_message,
    a_swap,
    an_order,
    built,
    raydium,
    rows,
    short_lived_venue,
    stop_clock,
    until,
    until_final,
)

COUNT = "SELECT count(*) FROM simulated_chain.transactions"
UNKNOWN = TxStatus(TxState.UNKNOWN)


async def test_a_swap_is_quoted_built_submitted_and_confirmed(database_url: str) -> None:
    await stop_clock(database_url, A_SLOT)  # in between nobody else trades
    async with raydium(database_url) as venue:
        swap = a_swap()
        quote = await venue.quote(swap)
        order = SwapOrder(new_order_id(), 1, swap, min_amount_out(quote.amount_out, 100))
        transaction = await venue.build(order, quote)
        assert await venue.status(transaction.signature) == UNKNOWN
        await venue.submit(transaction)
        status = await until_final(venue, transaction.signature)
    assert status.state is TxState.CONFIRMED
    assert status.amount_out is not None
    assert order.min_out <= status.amount_out < quote.amount_out
    [(order_id, attempt, amount_out, outcome)] = await rows(
        database_url, "SELECT order_id, attempt, amount_out, outcome FROM simulated_chain.transactions"
    )
    assert (order_id, attempt, amount_out, outcome) == (order.id, 1, status.amount_out, "confirmed")


async def test_it_lands_when_the_databases_clock_says_so(database_url: str) -> None:
    # Valid for two hours, landing in one: no machine is slow enough to see it land by itself.
    async with short_lived_venue(database_url, 18_000, execution_delay_ms=AN_HOUR_MS) as venue:
        transaction = await built(venue)
        await venue.submit(transaction)
        assert await venue.status(transaction.signature) == UNKNOWN
        [(delay,)] = await rows(
            database_url,
            "SELECT extract(epoch FROM lands_at - received_at) FROM simulated_chain.transactions",
        )
        assert delay == AN_HOUR_MS / 1000
        await rows(database_url, "UPDATE simulated_chain.transactions SET lands_at = clock_timestamp()")
        assert (await venue.status(transaction.signature)).state is TxState.CONFIRMED


async def test_a_worker_whose_clock_is_an_hour_off_makes_no_difference(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, real_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: real() + 3600)
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + 3_600_000_000_000)
    async with raydium(database_url) as venue:
        await assert_height_is_the_databases(database_url, await venue.height())
        transaction = await built(venue)
        await venue.submit(transaction)
        assert (await until_final(venue, transaction.signature)).state is TxState.CONFIRMED


async def test_the_height_is_never_ahead_of_the_databases(database_url: str) -> None:
    async with raydium(database_url) as venue:
        for _ in range(20):
            await assert_height_is_the_databases(database_url, await venue.height())


async def assert_height_is_the_databases(database_url: str, height: int) -> None:
    [(true_height,)] = await rows(
        database_url, "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000 / 400)::bigint"
    )
    assert true_height - 25 <= height <= true_height  # ten seconds for a machine that stalls


async def test_submitting_again_changes_nothing(database_url: str) -> None:
    async with raydium(database_url) as venue:
        transaction = await built(venue)
        await venue.submit(transaction)
        before = await rows(database_url, "TABLE simulated_chain.transactions")
        await asyncio.gather(*(venue.submit(transaction) for _ in range(50)))
        assert await rows(database_url, "TABLE simulated_chain.transactions") == before
        assert len(before) == 1


async def test_a_transaction_past_its_last_valid_height_is_refused_and_never_lands(database_url: str) -> None:
    async with short_lived_venue(database_url, validity_blocks=-1) as venue:
        transaction = await built(venue)
        with pytest.raises(SubmissionRejected, match="last valid block height"):
            await venue.submit(transaction)
        assert await venue.status(transaction.signature) == UNKNOWN
    assert await rows(database_url, COUNT) == [(0,)]


async def test_resending_what_landed_is_no_error_even_past_its_last_valid_height(database_url: str) -> None:
    async with short_lived_venue(database_url, validity_blocks=5) as venue:
        landed, never_sent = await built(venue), await built(venue)
        await venue.submit(landed)

        async def is_past() -> bool:
            return await venue.height() > never_sent.last_valid_height

        await until(is_past)
        await venue.submit(landed)
        with pytest.raises(SubmissionRejected):
            await venue.submit(never_sent)
    assert await rows(database_url, COUNT) == [(1,)]


async def test_what_would_land_past_its_last_valid_height_stays_unknown(database_url: str) -> None:
    async with short_lived_venue(database_url, validity_blocks=50, execution_delay_ms=AN_HOUR_MS) as venue:
        transaction = await built(venue)
        await venue.submit(transaction)
        assert await venue.status(transaction.signature) == UNKNOWN
    assert await rows(database_url, "SELECT outcome, lands_at FROM simulated_chain.transactions") == [
        ("expired", None)
    ]


@asynccontextmanager
async def a_submission_in_flight(database_url: str, signature: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """Another process has judged the signature valid and not committed yet; it stalls there."""
    async with await psycopg.AsyncConnection.connect(database_url) as stalled:
        await stalled.execute("SELECT pg_advisory_xact_lock(simulated_chain.lock_key(%s))", (signature,))
        yield stalled
        await stalled.rollback()


async def test_what_is_being_received_elsewhere_is_not_called_unknown(database_url: str) -> None:
    async with raydium(database_url) as venue:
        transaction = await built(venue)
        async with a_submission_in_flight(database_url, transaction.signature) as stalled:
            # Called unknown here, it could be given up and signed anew, and then both would land.
            assert await venue.status(transaction.signature) == TxStatus(TxState.PROCESSED)
            await stalled.rollback()
            assert await venue.status(transaction.signature) == UNKNOWN


async def test_submitting_what_is_being_received_elsewhere_is_ambiguous_and_holds_nobody_up(
    database_url: str,
) -> None:
    async with raydium(database_url) as venue:
        transaction, neighbour = await built(venue), await built(venue)
        async with a_submission_in_flight(database_url, transaction.signature), asyncio.timeout(4):
            stalled, unharmed = await asyncio.gather(
                venue.submit(transaction), venue.submit(neighbour), return_exceptions=True
            )
        assert isinstance(stalled, VenueError)
        assert not isinstance(stalled, SubmissionRejected)
        assert unharmed is None
        await venue.submit(transaction)
        assert (await until_final(venue, transaction.signature)).state is TxState.CONFIRMED


async def test_bytes_that_make_no_sense_are_refused_without_harm_to_their_neighbours(
    database_url: str,
) -> None:
    async with raydium(database_url) as venue:
        good = await built(venue)
        tampered = replace(good, raw=good.raw.replace(b'"min_out":1', b'"min_out":0'))
        nowhere = sign(a_message(venue="orca"))
        results = await asyncio.gather(
            *map(venue.submit, (tampered, nowhere, sign(a_message()))), return_exceptions=True
        )
        assert [type(result) for result in results] == [SubmissionRejected, SubmissionRejected, type(None)]
        assert await venue.status(good.signature) == UNKNOWN
        # Once the real bytes have landed, "it never lands" would be a lie.
        await venue.submit(good)
        await venue.submit(tampered)


async def test_too_little_paid_is_slippage_exceeded_and_final(database_url: str) -> None:
    async with raydium(database_url) as venue:
        quote = await venue.quote(a_swap())
        transaction = await built(venue, an_order(min_out=quote.amount_out * 2))
        await venue.submit(transaction)
        status = await until_final(venue, transaction.signature)
    assert status.failure is not None
    assert status.failure.code is FailureCode.SLIPPAGE_EXCEEDED
    assert (status.failure.retryable, status.failure.funds_moved) == (False, FundsMoved.NO)


async def test_a_drawn_failure_is_retryable_and_moved_no_funds(database_url: str) -> None:
    async with raydium(database_url, mock_dex_failure_rate=1.0) as venue:
        transaction = await built(venue)
        await venue.submit(transaction)
        status = await until_final(venue, transaction.signature)
    assert status.failure is not None
    assert status.failure.code is FailureCode.EXECUTION_FAILED
    assert (status.failure.retryable, status.failure.funds_moved) == (True, FundsMoved.NO)


async def test_the_chain_remembers_over_a_restart_and_under_another_seed(database_url: str) -> None:
    async with raydium(database_url) as venue:
        transaction = await built(venue)
        await venue.submit(transaction)
        before = await until_final(venue, transaction.signature)
    async with raydium(database_url, mock_dex_seed=7, mock_dex_failure_rate=1.0) as venue:
        await venue.submit(transaction)
        assert await venue.status(transaction.signature) == before


async def test_what_is_asked_at_the_same_time_travels_together(database_url: str) -> None:
    async with raydium(database_url) as venue:
        transactions = await asyncio.gather(*(built(venue) for _ in range(500)))
        await asyncio.gather(*map(venue.submit, transactions))
        statuses = await asyncio.gather(
            *(venue.status(transaction.signature) for transaction in transactions)
        )
    assert {status.state for status in statuses} == {TxState.CONFIRMED}
    [(count, commits)] = await rows(
        database_url, "SELECT count(*), count(DISTINCT xmin::text) FROM simulated_chain.transactions"
    )
    assert count == 500
    assert commits <= 10


@pytest.mark.parametrize(("bps", "least", "most"), [(1, 0, 20), (50, 200, 200), (100, 194, 200)])
async def test_the_tolerance_decides_over_the_whole_way(
    database_url: str, bps: int, least: int, most: int
) -> None:
    async with raydium(database_url) as venue:

        async def confirms() -> bool:
            quote = await venue.quote(a_swap())
            order = SwapOrder(new_order_id(), 1, a_swap(), min_amount_out(quote.amount_out, bps))
            transaction = await venue.build(order, quote)
            await venue.submit(transaction)
            return (await until_final(venue, transaction.signature)).state is TxState.CONFIRMED

        confirmed = sum(await asyncio.gather(*(confirms() for _ in range(200))))
    assert least <= confirmed <= most


@pytest.mark.parametrize("amount_in", [1, U64_MAX])
async def test_amounts_that_no_pool_fills_are_unfillable(database_url: str, amount_in: int) -> None:
    async with raydium(database_url) as venue:
        with pytest.raises(Unfillable):
            await venue.quote(a_swap(BONK, SOL, amount_in))


async def test_the_largest_amount_that_can_be_written_is_carried_exactly(database_url: str) -> None:
    async with raydium(database_url) as venue:
        transaction = sign(a_message(swap=a_swap(amount_in=U64_MAX), min_out=U64_MAX))
        await venue.submit(transaction)
    stored = await rows(database_url, "SELECT amount_in, min_out FROM simulated_chain.transactions")
    assert stored == [(U64_MAX, U64_MAX)]


async def test_a_quote_takes_its_time(database_url: str) -> None:
    async with raydium(database_url, mock_dex_quote_delay_ms=150) as venue:
        began = time.monotonic()
        await venue.quote(a_swap())
        assert time.monotonic() - began >= 0.145


async def test_without_its_database_nothing_is_claimed_to_be_certain() -> None:
    async with raydium("postgresql://nobody@127.0.0.1:1/nowhere") as venue:
        transaction = sign(a_message())
        with pytest.raises(QuoteUnavailable):
            await venue.quote(a_swap())
        with pytest.raises(VenueError) as refused:
            await venue.submit(transaction)
        assert not isinstance(refused.value, SubmissionRejected)

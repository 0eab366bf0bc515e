"""Scenarios keep the port's promises, whichever process goes on with the play."""

from __future__ import annotations

import asyncio
from uuid import UUID

import msgspec
import pytest

from app.errors import SubmissionRejected, VenueError
from app.orders.model import Quote, SignedTransaction, Swap
from app.orders.scenarios import Act, Scenario
from app.storage.database import connect
from app.venues.port import SwapOrder, TxState, Venue
from app.venues.simulated import base58
from app.venues.simulated.script import MARK, Script, is_script, signed
from tests.venues.builders import a_swap, built, raydium, rows, until, until_final

ORDER: UUID = UUID("01997d4e-6c3a-7c43-9f0b-0c9d1a4a8f11")


def in_act(scenario: Scenario, attempt: int = 1, min_out: int = 1) -> SwapOrder:
    return SwapOrder(ORDER, attempt, acted(scenario, attempt), min_out)


def acted(scenario: Scenario, attempt: int = 1) -> Swap:
    return msgspec.structs.replace(a_swap(), act=Act(scenario, attempt))


async def built_for(venue: Venue, order: SwapOrder) -> SignedTransaction:
    return await venue.build(order, Quote(venue.name, 250_000_000, 25))


async def past(venue: Venue, transaction: SignedTransaction) -> None:
    async def is_past() -> bool:
        return await venue.height() > transaction.last_valid_height

    await until(is_past)


async def test_the_market_stands_still_for_scenarios_of_one_seed(database_url: str) -> None:
    swap = acted(Scenario.CONFIRM)
    async with raydium(database_url) as one, raydium(database_url) as other:
        quotes = [await one.quote(swap), await other.quote(swap)]
    async with raydium(database_url, mock_dex_seed=1) as elsewhere:
        quotes.append(await elsewhere.quote(swap))

    assert quotes[0] == quotes[1] != quotes[2]


async def test_a_signature_says_that_it_is_of_a_scenario_and_is_one_per_attempt(database_url: str) -> None:
    async with raydium(database_url) as venue:
        first, again, second = [
            await built_for(venue, in_act(Scenario.CONFIRM, attempt)) for attempt in (1, 1, 2)
        ]
        usual = await built(venue)

    assert first.signature == again.signature != second.signature
    assert first.signature.startswith(MARK)
    assert len(first.signature) in range(87, 89)
    assert set(first.signature) <= set(base58.ALPHABET)
    assert is_script(first)
    assert not is_script(usual)
    assert not usual.signature.startswith(MARK)


@pytest.mark.parametrize("scenario", [Scenario.CONFIRM, Scenario.LANDED_LATE])
async def test_it_lands_once_however_often_and_by_whomever_it_is_sent(
    database_url: str, scenario: Scenario
) -> None:
    async with raydium(database_url) as one, raydium(database_url) as other:
        transaction = await built_for(one, in_act(scenario))
        await one.submit(transaction)
        await asyncio.gather(*(venue.submit(transaction) for venue in (one, other, other)))
        status = await until_final(other, transaction.signature)

    assert (status.state, status.amount_out) == (TxState.CONFIRMED, 250_000_000)
    assert await rows(database_url, "SELECT count(*) FROM simulated_chain.transactions") == [(1,)]


async def test_what_lands_late_is_unknown_until_its_last_block(database_url: str) -> None:
    async with raydium(database_url) as venue:
        transaction = await built_for(venue, in_act(Scenario.LANDED_LATE))
        await venue.submit(transaction)
        assert (await venue.status(transaction.signature)).state is TxState.UNKNOWN
        await past(venue, transaction)

        assert (await venue.status(transaction.signature)).state is TxState.CONFIRMED


async def test_nothing_lands_past_its_last_block_however_slow_the_chain_is(database_url: str) -> None:
    async with raydium(database_url, mock_dex_execution_delay_ms=10 * 60_000) as venue:
        transaction = await built_for(venue, in_act(Scenario.CONFIRM))
        await venue.submit(transaction)

    [(height,)] = await rows(
        database_url,
        "SELECT floor(extract(epoch FROM lands_at) * 1000 / 400)::bigint FROM simulated_chain.transactions",
    )
    assert height == transaction.last_valid_height


async def test_an_expired_one_never_lands_even_if_another_process_sends_it_again(database_url: str) -> None:
    async with raydium(database_url) as one, raydium(database_url) as other:
        transaction = await built_for(one, in_act(Scenario.EXPIRED))
        await one.submit(transaction)
        await other.submit(transaction)
        await past(one, transaction)
        await other.submit(transaction)

        assert (await other.status(transaction.signature)).state is TxState.UNKNOWN


@pytest.mark.parametrize(
    "order", [in_act(Scenario.DROPPED, 3), in_act(Scenario.PARTIAL_OUTAGE_RECOVERS, 1)], ids=str
)
async def test_a_dropped_one_is_refused_by_every_process(database_url: str, order: SwapOrder) -> None:
    async with raydium(database_url) as one, raydium(database_url) as other:
        transaction = await built_for(one, order)
        for venue in (one, other):
            with pytest.raises(SubmissionRejected):
                await venue.submit(transaction)

            assert (await venue.status(transaction.signature)).state is TxState.UNKNOWN


async def test_a_lost_reply_says_nothing_and_the_transaction_lands(database_url: str) -> None:
    async with raydium(database_url) as venue:
        transaction = await built_for(venue, in_act(Scenario.REPLY_LOST_BUT_LANDED))
        with pytest.raises(TimeoutError):
            await venue.submit(transaction)

        assert (await until_final(venue, transaction.signature)).state is TxState.CONFIRMED


async def test_slippage_fails_on_chain(database_url: str) -> None:
    async with raydium(database_url) as venue:
        transaction = await built_for(venue, in_act(Scenario.SLIPPAGE))
        await venue.submit(transaction)
        status = await until_final(venue, transaction.signature)

    assert status.state is TxState.FAILED
    assert status.failure is not None
    assert status.failure.code == "slippage_exceeded"


async def test_one_that_comes_too_late_is_refused(database_url: str) -> None:
    async with raydium(database_url) as venue:
        transaction = await built_for(venue, in_act(Scenario.CONFIRM))
        script = msgspec.json.decode(transaction.raw, type=Script)
        late = signed(msgspec.structs.replace(script, last_valid_height=await venue.height() - 1))
        with pytest.raises(SubmissionRejected, match="last valid"):
            await venue.submit(late)


async def test_bytes_that_are_not_the_signatures_own_are_refused(database_url: str) -> None:
    async with raydium(database_url) as venue:
        transaction = await built_for(venue, in_act(Scenario.CONFIRM))
        other = await built_for(venue, in_act(Scenario.CONFIRM, attempt=2))
        for raw in (transaction.raw[:-1], other.raw):
            with pytest.raises(SubmissionRejected, match="not valid"):
                await venue.submit(msgspec.structs.replace(transaction, raw=raw))


async def test_while_somebody_hands_it_in_nobody_says_that_it_is_unknown(database_url: str) -> None:
    async with raydium(database_url) as venue:
        transaction = await built_for(venue, in_act(Scenario.CONFIRM))
        rival = await connect(database_url)
        async with rival, rival.transaction():
            await rival.execute(
                "SELECT pg_advisory_xact_lock(simulated_chain.lock_key(%s))", (transaction.signature,)
            )
            with pytest.raises(VenueError, match="handed in"):
                await venue.submit(transaction)
            assert (await venue.status(transaction.signature)).state is TxState.PROCESSED
        await venue.submit(transaction)

        assert (await until_final(venue, transaction.signature)).state is TxState.CONFIRMED

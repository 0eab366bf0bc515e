"""The engine when something fails: what is tried again, what is final, and what the client is told."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from app.errors import QuoteUnavailable, Unfillable, VenueError
from app.orders.failures import LONGEST_MESSAGE
from tests.support.books import Books
from tests.support.checker import violations

from .driving import Driver
from .paper import Fate, PaperChain, calls_of, has_been_called, paper_venues


async def test_without_any_quote_an_order_is_tried_again_until_its_attempts_are_used_up(
    books: Books, chain: PaperChain
) -> None:
    order_id = await books.accept()
    venues = paper_venues(chain)
    for venue in venues:
        venue.fail("quote", QuoteUnavailable("closed"))
    driver = Driver(books, venues, max_attempts=2)

    await driver.drive(order_id)

    retrying = (await books.events(order_id))[-1]
    order = await books.order(order_id)
    assert retrying.status == "retrying"
    assert retrying.data == {
        "code": "venue_unavailable", "message": "raydium: closed meteora: closed", "retryable": True,
        "fundsMoved": "no", "attempt": 1, "maxAttempts": 2, "nextAttemptAt": retrying.data["nextAttemptAt"],
    }  # fmt: skip
    assert dt.timedelta(0) < order.next_attempt_at - order.updated_at <= dt.timedelta(milliseconds=501)
    assert len(await books.jobs_of(order_id)) == 2

    await books.ask(
        "UPDATE orders SET next_attempt_at = next_attempt_at + interval '1 h' WHERE id = %s", order_id
    )
    await driver.drive(order_id)  # not due yet
    assert await books.status(order_id) == "retrying"
    await driver.finish(order_id)

    assert (await books.events(order_id))[-1] == (
        5, "failed", {
            "code": "venue_unavailable", "message": "raydium: closed meteora: closed", "retryable": True, "fundsMoved": "no",
        },
    )  # fmt: skip
    assert await books.outcome(order_id) == ("failed", "venue_unavailable")
    assert await books.attempts(order_id) == []


@pytest.mark.parametrize(
    "message", ["nul\x00", "\ud800", "line\nfeed", "long " * 10_000], ids=["nul", "surrogate", "line", "long"]
)
async def test_whatever_a_venue_says_can_be_told(books: Books, chain: PaperChain, message: str) -> None:
    order_id = await books.accept()
    raydium, meteora = paper_venues(chain)
    raydium.fail("quote", QuoteUnavailable(message))
    meteora.fail("build", VenueError(message))

    await Driver(books, (raydium, meteora)).drive(order_id)

    _, _, building, retrying = await books.events(order_id)
    for said in (building.data["unavailable"][0]["message"], retrying.data["message"]):
        assert said.isprintable()
        assert 0 < len(said) <= LONGEST_MESSAGE
    assert (await books.order(order_id)).deaths == 0


async def test_an_amount_that_no_venue_will_ever_fill_fails_at_once(books: Books, chain: PaperChain) -> None:
    order_id = await books.accept()
    venues = paper_venues(chain)
    for venue in venues:
        venue.fail("quote", Unfillable("too much"))

    await Driver(books, venues).drive(order_id)

    assert await books.outcome(order_id) == ("failed", "unfillable_amount")
    assert (await books.events(order_id))[-1].data["retryable"] is False


async def test_an_amount_that_one_venue_may_fill_later_is_tried_again(
    books: Books, chain: PaperChain
) -> None:
    order_id = await books.accept()
    raydium, meteora = paper_venues(chain)
    raydium.fail("quote", Unfillable("too much"))
    meteora.fail("quote", QuoteUnavailable("closed"), times=1)
    driver = Driver(books, (raydium, meteora))

    await driver.drive(order_id)
    assert await books.outcome(order_id) == ("retrying", None)
    await driver.finish(order_id)
    assert await books.outcome(order_id) == ("confirmed", None)


@pytest.mark.parametrize("side", ["token_in", "token_out"])
async def test_a_token_that_is_not_traded_any_more_fails_the_order_at_once(
    books: Books, chain: PaperChain, side: str
) -> None:
    order_id = await books.accept()
    await books.ask(
        "UPDATE orders SET token_in = CASE WHEN %s = 'token_in' THEN 'LUNA' ELSE token_in END,"
        " token_out = CASE WHEN %s = 'token_out' THEN 'LUNA' ELSE token_out END WHERE id = %s",
        side, side, order_id,
    )  # fmt: skip
    venues = paper_venues(chain)

    await Driver(books, venues).drive(order_id)

    assert await books.outcome(order_id) == ("failed", "unknown_token")
    assert calls_of(venues, "quote") == 0


async def test_a_price_that_moved_too_far_fails_the_order_for_good(books: Books, chain: PaperChain) -> None:
    order_id = await books.accept()
    chain.fates.append(Fate.SLIP)

    await Driver(books, paper_venues(chain)).drive(order_id)

    assert await books.outcome(order_id) == ("failed", "slippage_exceeded")
    last = (await books.events(order_id))[-1].data
    assert (last["retryable"], last["fundsMoved"]) == (False, "no")
    assert [attempt.outcome for attempt in await books.attempts(order_id)] == ["failed"]
    assert chain.landed == []


@pytest.mark.parametrize(
    ("fate", "code"), [(Fate.FAIL, "execution_failed"), (Fate.REJECT, "transaction_dropped")]
)
async def test_a_transaction_that_failed_for_certain_is_followed_by_another_one(
    books: Books, chain: PaperChain, fate: Fate, code: str
) -> None:
    order_id = await books.accept()
    chain.fates.append(fate)
    driver = Driver(books, paper_venues(chain))

    await driver.drive(order_id)
    assert (await books.events(order_id))[-1].data["code"] == code
    await driver.finish(order_id)

    assert await books.path(order_id) == [
        "pending", "routing", "building", "submitted", "retrying", "routing", "building", "submitted", "confirmed",
    ]  # fmt: skip
    attempts = await books.attempts(order_id)
    assert [(attempt.number, attempt.outcome) for attempt in attempts] == [(1, "failed"), (2, "landed")]
    assert await violations(books.url, landed=chain.landed, of=[order_id]) == {}


async def test_a_transaction_that_expired_is_followed_by_another_one_and_not_before(
    books: Books, chain: PaperChain
) -> None:
    order_id = await books.accept()
    chain.fates.append(Fate.LINGER)
    venues = paper_venues(chain)
    drive = asyncio.create_task(Driver(books, venues).finish(order_id))
    await has_been_called(venues[0], "status", times=3)
    assert calls_of(venues, "build") == 1
    chain.expire()
    await drive

    first, second = await books.attempts(order_id)
    assert (first.outcome, second.outcome) == ("expired", "landed")
    assert first.resolved_at <= second.stored_at
    assert first.signature != second.signature
    assert (await books.events(order_id))[4].data["code"] == "transaction_expired"
    assert await violations(books.url, landed=chain.landed, of=[order_id]) == {}


async def test_transactions_that_keep_failing_use_up_the_attempts(books: Books, chain: PaperChain) -> None:
    order_id = await books.accept()
    chain.fates.extend([Fate.FAIL] * 5)

    await Driver(books, paper_venues(chain), max_attempts=3).finish(order_id)

    assert await books.outcome(order_id) == ("failed", "execution_failed")
    assert [attempt.outcome for attempt in await books.attempts(order_id)] == ["failed"] * 3


@pytest.mark.parametrize("error", [VenueError("busy"), TimeoutError()], ids=["refused", "late"])
async def test_a_venue_that_cannot_build_is_tried_again(
    books: Books, chain: PaperChain, error: Exception
) -> None:
    order_id = await books.accept()
    raydium, meteora = paper_venues(chain)
    raydium.fail("build", error, times=1)
    driver = Driver(books, (raydium, meteora))

    await driver.drive(order_id)
    retrying = (await books.events(order_id))[-1]
    assert (retrying.status, retrying.data["code"]) == ("retrying", "venue_unavailable")
    assert retrying.data["message"]
    await driver.finish(order_id)
    assert await books.outcome(order_id) == ("confirmed", None)

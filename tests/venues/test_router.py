"""Asking the venues: one that is down, slow or broken never costs the order the other's quote."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Never

import pytest
import structlog.testing

from app.errors import QuoteUnavailable, Unfillable, VenueError
from app.orders.failures import FailureCode
from app.orders.model import Quote, SignedTransaction, Swap
from app.orders.routing import best_quote
from app.venues.port import SwapOrder, TxStatus, Venue
from app.venues.router import QuoteRound, Refusal, gather_quotes

from .builders import a_swap


class StubVenue:
    """A venue that quotes as the test says, and is good for nothing else."""

    def __init__(self, name: str, answer: Callable[[], Awaitable[Quote]]) -> None:
        self.name = name
        self._answer = answer
        self.let_go = False

    async def quote(self, swap: Swap) -> Quote:  # noqa: ARG002  # the port's signature
        try:
            return await self._answer()
        except asyncio.CancelledError:
            self.let_go = True
            raise

    async def build(self, order: SwapOrder, quote: Quote) -> SignedTransaction:
        raise NotImplementedError

    async def submit(self, transaction: SignedTransaction) -> None:
        raise NotImplementedError

    async def status(self, signature: str) -> TxStatus:
        raise NotImplementedError

    async def height(self) -> int:
        raise NotImplementedError


def quoting(name: str = "raydium", amount_out: int = 100, after: float = 0) -> StubVenue:
    async def answer() -> Quote:
        await asyncio.sleep(after)
        return Quote(name, amount_out, 25)

    return StubVenue(name, answer)


def raising(error: BaseException, name: str = "meteora") -> StubVenue:
    async def answer() -> Never:
        raise error

    return StubVenue(name, answer)


def silent(name: str = "meteora") -> StubVenue:
    async def answer() -> Never:
        await asyncio.Event().wait()
        raise AssertionError

    return StubVenue(name, answer)


async def ask(*venues: Venue, deadline: float = 5) -> QuoteRound:
    """One round, after which no task may be left."""
    before = asyncio.all_tasks()
    try:
        return await gather_quotes(venues, a_swap(), deadline)
    finally:
        assert asyncio.all_tasks() == before


def codes(answered: QuoteRound) -> dict[str, FailureCode]:
    return {refusal.venue: refusal.code for refusal in answered.refusals}


async def test_all_venues_are_asked_at_once() -> None:
    arrived: list[str] = []
    everybody = asyncio.Event()

    def meeting(name: str) -> StubVenue:
        async def answer() -> Quote:
            arrived.append(name)
            if len(arrived) == 2:
                everybody.set()
            await everybody.wait()  # never set, if one were asked after the other
            return Quote(name, len(name), 25)

        return StubVenue(name, answer)

    answered = await ask(meeting("raydium"), meeting("meteora"), deadline=5)
    assert {quote.venue for quote in answered.quotes} == {"raydium", "meteora"}
    assert answered.refusals == ()


async def test_the_better_quote_is_there_to_be_chosen() -> None:
    answered = await ask(quoting("raydium", 100), quoting("meteora", 101))
    assert best_quote(answered.quotes).venue == "meteora"


async def test_a_slow_venue_is_left_behind_at_the_deadline_and_let_go() -> None:
    slow = silent()
    began = time.monotonic()
    answered = await ask(quoting(), slow, deadline=0.1)
    assert time.monotonic() - began < 1
    assert [quote.venue for quote in answered.quotes] == ["raydium"]
    assert codes(answered) == {"meteora": FailureCode.QUOTE_TIMEOUT}
    assert slow.let_go


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (QuoteUnavailable("Closed for today."), FailureCode.VENUE_UNAVAILABLE),
        (VenueError("It said no."), FailureCode.VENUE_UNAVAILABLE),
        (Unfillable("Too much."), FailureCode.UNFILLABLE_AMOUNT),
        (TimeoutError(), FailureCode.QUOTE_TIMEOUT),
        (ConnectionResetError(), FailureCode.VENUE_UNAVAILABLE),
        (ZeroDivisionError(), FailureCode.VENUE_UNAVAILABLE),
        (asyncio.CancelledError(), FailureCode.VENUE_UNAVAILABLE),
    ],
)
async def test_a_venue_that_raises_is_a_refusal_and_the_other_is_used(
    error: BaseException, code: FailureCode
) -> None:
    answered = await ask(raising(error), quoting())
    assert [quote.venue for quote in answered.quotes] == ["raydium"]
    assert codes(answered) == {"meteora": code}


async def test_a_venue_says_in_its_own_words_why_it_refuses() -> None:
    answered = await ask(raising(Unfillable("Too much.")))
    assert answered.refusals == (Refusal("meteora", FailureCode.UNFILLABLE_AMOUNT, "Too much."),)


async def test_an_unexpected_error_is_logged_and_its_text_kept_from_the_client() -> None:
    with structlog.testing.capture_logs() as logs:
        answered = await ask(raising(KeyError("s3cret")))
    assert [entry["event"] for entry in logs] == ["venue.quote_failed"]
    assert "s3cret" not in answered.refusals[0].message


async def test_a_venue_that_will_not_let_go_holds_the_round_up_for_a_moment_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.venues.router.CANCEL_SECONDS", 0.05)
    release = asyncio.Event()

    async def stubborn() -> Quote:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return Quote("meteora", 1, 30)

    with structlog.testing.capture_logs() as logs:
        answered = await gather_quotes([quoting(), StubVenue("meteora", stubborn)], a_swap(), 0.05)
    assert codes(answered) == {"meteora": FailureCode.QUOTE_TIMEOUT}
    assert [entry["event"] for entry in logs] == ["venue.quote_stuck"]
    release.set()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.wait_for(asyncio.gather(*left), 5)


async def test_a_caller_that_is_cancelled_takes_its_questions_along() -> None:
    venues = [silent("raydium"), silent("meteora")]
    before = asyncio.all_tasks()
    asking = asyncio.create_task(gather_quotes(venues, a_swap(), 60))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert all(venue.let_go for venue in venues)
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize(
    ("errors", "code", "retryable"),
    [
        ((Unfillable("a"), Unfillable("b")), FailureCode.UNFILLABLE_AMOUNT, False),
        ((Unfillable("a"), TimeoutError()), FailureCode.VENUE_UNAVAILABLE, True),
        ((Unfillable("a"), QuoteUnavailable("b")), FailureCode.VENUE_UNAVAILABLE, True),
        ((TimeoutError(), TimeoutError()), FailureCode.QUOTE_TIMEOUT, True),
        ((TimeoutError(), QuoteUnavailable("b")), FailureCode.VENUE_UNAVAILABLE, True),
        ((QuoteUnavailable("a"), QuoteUnavailable("b")), FailureCode.VENUE_UNAVAILABLE, True),
    ],
)
async def test_without_any_quote_the_failure_is_final_only_if_no_venue_ever_fills_it(
    errors: tuple[Exception, Exception], code: FailureCode, *, retryable: bool
) -> None:
    answered = await ask(raising(errors[0], "raydium"), raising(errors[1], "meteora"))
    assert answered.quotes == ()
    failure = answered.failure()
    assert (failure.code, failure.retryable) == (code, retryable)
    assert "raydium: " in failure.message
    assert "meteora: " in failure.message


async def test_without_any_venue_the_order_may_be_tried_again() -> None:
    failure = (await ask()).failure()
    assert failure.code is FailureCode.VENUE_UNAVAILABLE

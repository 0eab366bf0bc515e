"""Settlement: what became of a signed transaction, and what may be done about it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import UUID

import pytest

from app.errors import SubmissionRejected, VenueError
from app.execution.settlement import Settlement, Verdict, settle
from app.orders.failures import FailureCode
from app.orders.model import SignedTransaction, new_order_id
from app.venues.port import SwapOrder, TxState, TxStatus
from tests.builders import a_swap

from .paper import PAID, Fate, PaperChain, PaperVenue, paper_venues

DEADLINE = 15.0


class Watch:
    """One settlement under way: a venue, a transaction, and what happens at each pause."""

    def __init__(self, *fates: Fate) -> None:
        self.chain = PaperChain()
        self.chain.fates.extend(fates)
        self.venue: PaperVenue = paper_venues(self.chain)[0]
        self.order_id: UUID = new_order_id()
        self.transaction: SignedTransaction = self.chain.sign(
            SwapOrder(self.order_id, 1, a_swap(), min_out=7)
        )
        self.pauses: list[float] = []
        self.at_pause: dict[int, Callable[[], object]] = {}

    async def settle(self, *, may_send: bool = True, is_fresh: bool = True) -> Settlement:
        async with asyncio.timeout(DEADLINE):
            return await settle(
                self.venue, self.transaction, self._pause, may_send=may_send, is_fresh=is_fresh
            )

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.at_pause.get(len(self.pauses), lambda: None)()
        await asyncio.sleep(0)


async def test_a_transaction_is_sent_and_its_landing_is_seen() -> None:
    watch = Watch()

    assert await watch.settle() == Settlement(Verdict.LANDED, PAID)
    assert watch.chain.received == [watch.transaction.raw]


@pytest.mark.usefixtures("_resend_at_once")
async def test_a_transaction_that_was_dropped_is_sent_again_with_the_same_bytes() -> None:
    watch = Watch(Fate.VANISH, Fate.VANISH)

    assert (await watch.settle()).verdict is Verdict.LANDED
    assert watch.chain.received == [watch.transaction.raw] * 3
    assert watch.chain.landed == [watch.order_id]


@pytest.mark.parametrize(
    "error", [TimeoutError(), VenueError("busy"), ConnectionResetError(), RuntimeError("?")]
)
async def test_a_lost_reply_is_not_a_rejection(error: Exception) -> None:
    watch = Watch()
    watch.venue.lose_reply("submit", error)

    assert (await watch.settle()).verdict is Verdict.LANDED
    assert watch.chain.landed == [watch.order_id]


@pytest.mark.usefixtures("_resend_at_once")
async def test_an_error_on_the_way_out_is_followed_by_the_same_bytes() -> None:
    watch = Watch()
    watch.venue.fail("submit", ConnectionRefusedError(), times=2)

    assert (await watch.settle()).verdict is Verdict.LANDED
    assert watch.chain.received == [watch.transaction.raw]


async def test_a_certain_refusal_ends_it_with_the_venues_reason() -> None:
    result = await Watch(Fate.REJECT).settle()

    assert result.verdict is Verdict.FAILED
    assert result.failure is not None
    assert (result.failure.code, result.failure.message) == (FailureCode.TRANSACTION_DROPPED, "no such pool")


async def test_a_refusal_of_what_had_landed_before_is_a_landing() -> None:
    watch = Watch()
    watch.chain.receive(watch.transaction)
    watch.venue.fail("submit", SubmissionRejected("seen"))

    assert (await watch.settle()).verdict is Verdict.LANDED


@pytest.mark.parametrize(
    ("fate", "code"),
    [(Fate.FAIL, FailureCode.EXECUTION_FAILED), (Fate.SLIP, FailureCode.SLIPPAGE_EXCEEDED)],
)
async def test_a_failure_on_chain_says_why(fate: Fate, code: FailureCode) -> None:
    result = await Watch(fate).settle()

    assert (result.verdict, result.failure and result.failure.code) == (Verdict.FAILED, code)


async def test_what_is_unknown_past_its_last_height_has_expired() -> None:
    watch = Watch(Fate.LINGER)
    watch.at_pause[3] = watch.chain.expire

    result = await watch.settle()

    assert result.verdict is Verdict.EXPIRED
    assert result.failure is not None
    assert result.failure.code is FailureCode.TRANSACTION_EXPIRED


@pytest.mark.parametrize("blocks", [0, 1])
async def test_it_may_land_at_its_last_height_and_not_past_it(blocks: int) -> None:
    watch = Watch(Fate.LINGER)
    watch.chain.block = watch.transaction.last_valid_height
    watch.at_pause[3] = watch.chain.land_what_lingers
    if blocks:
        watch.at_pause[2] = watch.chain.expire

    result = await watch.settle()

    assert result.verdict is (Verdict.EXPIRED if blocks else Verdict.LANDED)


async def test_what_was_processed_is_waited_for_past_its_last_height() -> None:
    watch = Watch()
    processed = TxStatus(TxState.PROCESSED)
    watch.chain._statuses[watch.transaction.signature] = processed
    watch.chain.expire()
    watch.at_pause[3] = lambda: watch.chain._land(watch.transaction.signature, watch.order_id)

    assert (await watch.settle()).verdict is Verdict.LANDED

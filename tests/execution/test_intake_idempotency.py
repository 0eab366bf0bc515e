"""Idempotency: one key is one order, whoever sends it how often, and never two different ones."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from app.errors import IdempotencyMismatch
from app.execution.intake import Accepted
from tests.builders import a_request
from tests.support.books import Books

from .test_intake import an_intake, count


async def test_two_hundred_requests_with_one_key_are_one_order(books: Books) -> None:
    before = await count(books)
    key = str(uuid4())
    async with an_intake(books) as other:
        accepted = await asyncio.gather(
            *(intake.accept(a_request(), key=key) for _ in range(100) for intake in (books.intake, other))
        )

    assert len({order_id for order_id, _ in accepted}) == 1
    assert sum(replayed for _, replayed in accepted) == 199
    assert await count(books) == tuple(number + 1 for number in before)


async def test_keys_that_cross_between_intakes_do_not_deadlock(books: Books) -> None:
    run = str(uuid4())
    keys = [f"{run}/{i}" for i in range(60)]
    async with AsyncExitStack() as stack:
        intakes = [await stack.enter_async_context(an_intake(books)) for _ in range(4)]
        with capture_logs() as logs:
            accepted = await asyncio.gather(*(
                intake.accept(a_request(), key=key)
                for intake, step in zip(intakes, (1, -1, 1, -1), strict=True)
                for key in keys[::step]
            ))  # fmt: skip

    assert len({order_id for order_id, _ in accepted}) == 60
    assert sum(replayed for _, replayed in accepted) == 180
    assert logs == []  # a deadlock would be survived, but only item by item, and after a second


async def test_a_key_says_the_same_request_or_it_is_refused(books: Books) -> None:
    key = str(uuid4())
    first = await books.intake.accept(a_request("1.25"), key=key)

    assert await books.intake.accept(a_request("1.250"), key=key) == Accepted(first.order_id, replayed=True)
    for other in (a_request("1.26"), a_request(slippage_bps=51), a_request(wallet="other")):
        with pytest.raises(IdempotencyMismatch):
            await books.intake.accept(other, key=key)
    with pytest.raises(IdempotencyMismatch):
        await books.intake.accept(a_request("1.25"), key=key, queue=False)


async def test_in_one_batch_the_first_with_a_key_wins_and_the_others_are_held_against_it(
    books: Books,
) -> None:
    key = str(uuid4())
    requests = [a_request("1"), a_request("1"), a_request("2"), a_request("3")]
    keys = [key, key, key, None]

    results = await asyncio.gather(
        *(books.intake.accept(request, key=k) for request, k in zip(requests, keys, strict=True)),
        return_exceptions=True,
    )

    replays = [result.replayed for result in results if isinstance(result, Accepted)]
    assert sorted(replays) in (
        [False, False, True],
        [False, False],
    )  # which of them is first, the database decides
    assert sum(isinstance(result, IdempotencyMismatch) for result in results) == 4 - len(replays)
    assert isinstance(results[3], Accepted)


async def test_a_key_belongs_to_one_account(books: Books) -> None:
    key = str(uuid4())
    alice = await books.intake.accept(a_request(), account="alice", key=key)
    bob = await books.intake.accept(a_request("7"), account="bob", key=key)

    assert (alice.replayed, bob.replayed) == (False, False)
    assert alice.order_id != bob.order_id


async def test_without_a_key_each_request_is_an_order(books: Books) -> None:
    accepted = await asyncio.gather(*(books.intake.accept(a_request()) for _ in range(20)))

    assert len({order_id for order_id, replayed in accepted if not replayed}) == 20


@pytest.mark.parametrize("text", ["nul\x00", "\ud800"])
async def test_a_key_that_cannot_be_stored_harms_no_neighbour(books: Books, text: str) -> None:
    good, bad, too = await asyncio.gather(
        *(books.intake.accept(a_request(), key=key) for key in (str(uuid4()), text, str(uuid4()))),
        return_exceptions=True,
    )
    assert isinstance(bad, Exception)
    assert isinstance(good, Accepted)
    assert isinstance(too, Accepted)

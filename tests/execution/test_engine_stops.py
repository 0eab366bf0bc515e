"""Stopping: orders in flight reach a safe point, are handed back, and somebody else goes on with them."""

from __future__ import annotations

import asyncio
from collections import deque
from uuid import UUID

import pytest

from app.errors import HandedBack
from tests.support.books import Books
from tests.support.checker import violations

from .driving import Driver
from .paper import Fate, PaperChain, PaperVenue, has_been_called

pytestmark = pytest.mark.usefixtures("_resend_at_once")


def a_venue(chain: PaperChain) -> PaperVenue:
    return PaperVenue("raydium", chain, 204_487_500, 25)


async def finished_by_somebody_else(books: Books, chain: PaperChain, *orders: UUID) -> None:
    for order_id in orders:
        assert (await books.order(order_id)).claimed_by is None
        await Driver(books, [a_venue(chain)]).finish(order_id)
        assert (await books.order(order_id)).deaths == 0
    assert await violations(books.url, landed=chain.landed, of=orders) == {}


@pytest.mark.parametrize(
    ("method", "status"), [("quote", "routing"), ("build", "confirmed"), ("submit", "confirmed")]
)
async def test_a_stop_lets_the_step_under_way_come_to_its_end(
    books: Books, chain: PaperChain, method: str, status: str
) -> None:
    order_id = await books.accept()
    venue = a_venue(chain)
    gate = venue.hold(method)
    driver = Driver(books, [venue])
    drive = asyncio.create_task(driver.drive(order_id))
    await has_been_called(venue, method)

    driver.engine.stop()
    gate.set()
    [result] = await asyncio.gather(drive, return_exceptions=True)

    assert isinstance(result, HandedBack) == (status != "confirmed")
    assert await books.status(order_id) == status
    await finished_by_somebody_else(books, chain, order_id)


async def test_a_stop_while_a_transaction_is_in_flight_hands_the_order_back_with_its_attempt(
    books: Books, chain: PaperChain
) -> None:
    order_id = await books.accept()
    chain.fates.append(Fate.LINGER)
    venue = a_venue(chain)
    driver = Driver(books, [venue])
    drive = asyncio.create_task(driver.drive(order_id))
    await has_been_called(venue, "status", times=2)

    driver.engine.stop()
    with pytest.raises(HandedBack):
        await drive

    assert await books.status(order_id) == "submitted"
    chain.land_what_lingers()
    await finished_by_somebody_else(books, chain, order_id)
    assert len(await books.attempts(order_id)) == 1


async def test_a_stopped_engine_takes_no_order(books: Books, chain: PaperChain) -> None:
    order_id = await books.accept()
    driver = Driver(books, [a_venue(chain)])
    driver.engine.stop()

    with pytest.raises(HandedBack):
        await driver.drive(order_id)

    assert await books.status(order_id) == "pending"
    assert driver.engine.in_flight == 0
    await finished_by_somebody_else(books, chain, order_id)


async def test_orders_that_wait_for_their_turn_go_back_untouched(books: Books, chain: PaperChain) -> None:
    first, second = await books.accept(), await books.accept()
    chain.fates.append(Fate.LINGER)
    venue = a_venue(chain)
    driver = Driver(books, [venue], concurrency=1)
    drives = [asyncio.create_task(driver.drive(order_id)) for order_id in (first, second)]
    await has_been_called(venue, "status")

    driver.engine.stop()
    results = await asyncio.gather(*drives, return_exceptions=True)

    assert [type(result) for result in results] == [HandedBack, HandedBack]
    assert await books.status(second) == "pending"
    chain.land_what_lingers()
    await finished_by_somebody_else(books, chain, first, second)


async def test_an_order_is_not_claimed_before_it_is_admitted(books: Books, chain: PaperChain) -> None:
    order_id = await books.accept()
    driver = Driver(books, [a_venue(chain)])
    waits = deque([0.01, 0.02, 0.0])
    seen: list[str] = []

    async def admit(_order_id: UUID) -> float:
        seen.append(await books.status(order_id))
        return waits.popleft()

    driver.engine._admit = admit
    await driver.drive(order_id)

    assert seen == ["pending"] * 3
    assert await books.status(order_id) == "confirmed"


async def test_an_order_that_waits_for_admission_goes_back_untouched(books: Books, chain: PaperChain) -> None:
    order_id = await books.accept()
    driver = Driver(books, [a_venue(chain)])
    asked = asyncio.Event()

    async def admit(_order_id: UUID) -> float:
        asked.set()
        return 60

    driver.engine._admit = admit
    drive = asyncio.create_task(driver.drive(order_id))
    await asked.wait()
    driver.engine.stop()

    with pytest.raises(HandedBack):
        await drive
    assert await books.status(order_id) == "pending"
    await finished_by_somebody_else(books, chain, order_id)


@pytest.mark.parametrize("method", ["quote", "build", "submit", "status"])
async def test_an_order_whose_worker_ran_out_of_patience_is_handed_back_and_nobody_has_died(
    books: Books, chain: PaperChain, method: str
) -> None:
    order_id = await books.accept()
    venue = a_venue(chain)
    venue.hold(method)
    driver = Driver(books, [venue])
    drive = asyncio.create_task(driver.drive(order_id))
    await has_been_called(venue, method)

    drive.cancel()
    with pytest.raises(asyncio.CancelledError):
        await drive

    await finished_by_somebody_else(books, chain, order_id)

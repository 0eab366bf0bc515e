"""Poison: an order that kills its workers ends, and takes nobody with it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from app.execution.steps import POISON_LIMIT
from app.orders.model import Quote, SignedTransaction
from app.venues.port import SwapOrder, TxStatus
from tests.support.books import Books
from tests.support.checker import violations

from .driving import Driver, StagedLedger
from .paper import Fate, PaperChain, PaperVenue, Stage

NEIGHBOURS = 12


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Without the tracebacks that are meant to be: to print them takes longer than the tests."""
    with capture_logs():
        yield


pytestmark = pytest.mark.usefixtures("_resend_at_once")


class Deadly(PaperVenue):
    """A venue whose client kills the process, or breaks the engine, over one order."""

    def __init__(
        self,
        chain: PaperChain,
        stage: Stage,
        poison: UUID,
        *,
        at: str = "build",
        error: BaseException | None = None,
    ) -> None:
        super().__init__("raydium", chain, 204_487_500, 25, stage)
        self.poison = poison
        self.at = at
        self.error = error

    async def build(self, order: SwapOrder, quote: Quote) -> SignedTransaction:
        await self._harm("build", order.id)
        return await super().build(order, quote)

    async def status(self, signature: str) -> TxStatus:
        await self._harm("status", UUID(signature.partition("/")[0]))
        return await super().status(signature)

    async def _harm(self, method: str, order_id: UUID) -> None:
        if (method, order_id) != (self.at, self.poison):
            return
        if self.error is not None:
            raise self.error
        self.stage.end_at = len(self.stage.moments) + 1
        await self.stage.reach("death")


async def a_life(
    books: Books, chain: PaperChain, poison: UUID, orders: list[UUID], at: str = "build"
) -> bool:
    """One process drives the orders until it dies; whether it did."""
    stage = Stage()
    driver = Driver(books, [Deadly(chain, stage, poison, at=at)], ledger=StagedLedger(books.ledger, stage))
    drives = asyncio.gather(*(driver.finish(order_id) for order_id in orders), return_exceptions=True)
    stage.on_end = drives.cancel
    await asyncio.gather(drives, return_exceptions=True)
    await driver.die()
    return stage.has_ended


@pytest.mark.parametrize("place", [0, NEIGHBOURS])
async def test_an_order_that_kills_five_workers_is_set_aside_and_its_neighbours_are_filled(
    books: Books, chain: PaperChain, place: int
) -> None:
    orders = [await books.accept() for _ in range(NEIGHBOURS + 1)]
    poison = orders[place]

    lives = 0
    while await a_life(books, chain, poison, orders):
        lives += 1
        assert lives <= POISON_LIMIT

    order = await books.order(poison)
    assert (order.status, order.failure_code, order.funds_moved) == ("failed", "poisoned", "no")
    assert (lives, order.deaths) == (POISON_LIMIT, POISON_LIMIT)
    neighbours = [order_id for order_id in orders if order_id != poison]
    assert {await books.status(order_id) for order_id in neighbours} == {"confirmed"}
    assert max([(await books.order(order_id)).deaths for order_id in neighbours]) < POISON_LIMIT
    assert await violations(books.url, landed=chain.landed, of=orders) == {}


@pytest.mark.parametrize("error", [RuntimeError("a bug"), asyncio.CancelledError(), KeyError("x")], ids=repr)
async def test_an_order_that_breaks_the_engine_five_times_is_set_aside(
    books: Books, chain: PaperChain, error: BaseException
) -> None:
    poison, neighbour = await books.accept(), await books.accept()
    driver = Driver(books, [Deadly(chain, Stage(), poison, error=error)])

    await asyncio.gather(driver.finish(poison), driver.finish(neighbour))

    order = await books.order(poison)
    assert (order.failure_code, order.funds_moved, order.deaths) == ("poisoned", "no", POISON_LIMIT)
    assert [type(breakage) for breakage in driver.breakages] == [type(error)] * POISON_LIMIT
    assert await books.status(neighbour) == "confirmed"
    assert await violations(books.url, landed=chain.landed, of=[poison, neighbour]) == {}


async def test_an_order_set_aside_in_flight_is_looked_after_and_not_sent_again(
    books: Books, chain: PaperChain
) -> None:
    poison = await books.accept()
    chain.fates.append(Fate.VANISH)
    for _ in range(POISON_LIMIT):
        assert await a_life(books, chain, poison, [poison], at="status")
    sent = len(chain.received)
    chain.expire()

    await Driver(books, [PaperVenue("raydium", chain, 1, 1)]).drive(poison)

    order = await books.order(poison)
    assert (order.failure_code, order.funds_moved) == ("poisoned", "no")
    assert len(chain.received) == sent
    assert [attempt.outcome for attempt in await books.attempts(poison)] == ["expired"]
    assert await violations(books.url, landed=chain.landed, of=[poison]) == {}


async def test_an_order_set_aside_in_flight_that_has_landed_is_confirmed(
    books: Books, chain: PaperChain
) -> None:
    poison = await books.accept()
    for _ in range(POISON_LIMIT):
        assert await a_life(books, chain, poison, [poison], at="status")

    await Driver(books, [PaperVenue("raydium", chain, 1, 1)]).drive(poison)

    assert await books.status(poison) == "confirmed"
    assert await violations(books.url, landed=chain.landed, of=[poison]) == {}


async def test_an_order_that_kills_whoever_looks_ends_with_its_fate_open(
    books: Books, chain: PaperChain
) -> None:
    poison = await books.accept()
    lives = 0
    while await a_life(books, chain, poison, [poison], at="status"):
        lives += 1
        assert lives <= 2 * POISON_LIMIT

    order = await books.order(poison)
    assert (order.status, order.failure_code, order.funds_moved) == ("failed", "poisoned", "unknown")
    assert lives == 2 * POISON_LIMIT
    assert [attempt.outcome for attempt in await books.attempts(poison)] == [None]
    assert chain.landed == [poison]
    assert await violations(books.url, landed=chain.landed, of=[poison]) == {}

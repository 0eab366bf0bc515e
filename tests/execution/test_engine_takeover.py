"""Takeover: a process may end at every moment, and whoever comes next finishes what it began, once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from typing import NamedTuple
from uuid import UUID

import pytest

from app.errors import StorageUnavailable
from app.execution import settlement
from app.execution.steps import Steps
from app.orders.model import Order, OrderEvent, SignedTransaction
from app.storage import line
from app.storage.database import conninfo
from app.storage.ledger import Ledger
from tests.support.books import Books
from tests.support.checker import Violations, violations
from tests.support.wire import wire_to_postgres

from .driving import Driver, StagedLedger
from .paper import Fate, PaperChain, PaperVenue, Stage, has_been_called, paper_venues, status_first


class Story(NamedTuple):
    """What becomes of an order's transactions, and what happens between two processes."""

    fates: tuple[Fate, ...] = ()
    meanwhile: Callable[[PaperChain], object] = lambda _chain: None
    after_a_while: Callable[[PaperChain], object] | None = None  # once the chain was asked a few times
    lost_replies: int = 0

    def begin(self) -> PaperChain:
        chain = PaperChain()
        chain.fates.extend(self.fates)
        questions: list[str] = []

        def before_answer(question: str) -> None:
            questions.append(question)
            if self.after_a_while is not None and questions.count("status") == 3:
                self.after_a_while(chain)

        chain.before_answer = before_answer
        return chain


STORIES = {
    "landing": Story(),
    "landing, and late": Story(meanwhile=PaperChain.expire),
    "failing once": Story((Fate.FAIL,)),
    "refused once": Story((Fate.REJECT,)),
    "a reply lost": Story(lost_replies=1),
    "vanishing, then sent again": Story((Fate.VANISH,)),
    "vanishing, then too late": Story((Fate.VANISH,), meanwhile=PaperChain.expire),
    "in flight, landing unseen": Story((Fate.LINGER,), PaperChain.land_what_lingers, PaperChain.land_what_lingers),
    "in flight, expiring unseen": Story((Fate.LINGER,), PaperChain.expire, PaperChain.land_what_lingers),
    "expiring": Story((Fate.LINGER,), after_a_while=PaperChain.expire),
}  # fmt: skip


pytestmark = pytest.mark.usefixtures("_resend_at_once")


async def played(
    books: Books, story: Story, stage: Stage, steps: type[Steps] | None = None
) -> tuple[UUID, list[UUID]]:
    """An order that one process began and another one finished, and who was filled."""
    chain = story.begin()
    venues = paper_venues(chain, stage)
    for venue in venues:
        venue.lose_reply("submit", TimeoutError(), times=story.lost_replies)
    first = Driver(books, venues, ledger=StagedLedger(books.ledger, stage), max_attempts=5, steps=steps)
    order_id = await books.accept()
    process = asyncio.create_task(first.finish(order_id))
    stage.on_end = process.cancel
    await asyncio.gather(process, return_exceptions=True)
    await first.die()
    story.meanwhile(chain)
    await Driver(books, paper_venues(chain), max_attempts=5, steps=steps).finish(order_id)
    return order_id, chain.landed


async def moments_of(books: Books, story: Story) -> list[str]:
    """Every moment of the story when nothing ends."""
    stage = Stage()
    await played(books, story, stage)
    return stage.moments


async def ended_at_every_moment(
    books: Books, story: Story, *, is_killed: bool = True, steps: type[Steps] | None = None
) -> tuple[list[UUID], list[UUID], Violations]:
    """The orders of one run per moment, who was filled, and what is wrong."""
    moments = await moments_of(books, story)
    assert len(moments) >= 18
    stages = [Stage(end_at, is_killed=is_killed) for end_at in range(1, len(moments) + 1)]
    runs = await asyncio.gather(*(played(books, story, stage, steps) for stage in stages))
    assert all(stage.has_ended for stage in stages)
    orders = [order_id for order_id, _ in runs]
    landed = [order_id for _, filled in runs for order_id in filled]
    return orders, landed, await violations(books.url, landed=landed, of=orders)


@pytest.mark.parametrize("is_killed", [True, False], ids=["killed", "stopped"])
@pytest.mark.parametrize("story", STORIES)
async def test_wherever_a_process_ends_the_order_is_filled_once(
    books: Books, story: str, is_killed: bool
) -> None:
    orders, landed, wrong = await ended_at_every_moment(books, STORIES[story], is_killed=is_killed)

    assert wrong == {}
    assert sorted(landed) == sorted(orders)
    assert {await books.status(order_id) for order_id in orders} == {"confirmed"}


class SendsBeforeStoring(Steps):
    """An engine without the rule that what is sent is stored first."""

    async def _store(
        self, order: Order, transaction: SignedTransaction, building: asyncio.Future[OrderEvent] | None
    ) -> None:
        assert order.quote is not None
        await self._venue(order.quote.venue).submit(transaction)
        await super()._store(order, transaction, building)


async def test_an_engine_that_sends_before_it_stores_would_fill_an_order_twice(books: Books) -> None:
    _, _, wrong = await ended_at_every_moment(books, STORIES["landing"], steps=SendsBeforeStoring)

    assert "filled_twice" in wrong


async def a_landing_between_two_questions(books: Books) -> Violations:
    """The transaction lands while the engine asks for the height and the status, and its time is over."""
    chain = PaperChain()
    chain.fates.append(Fate.LINGER)
    questions: list[str] = []

    def before_answer(question: str) -> None:
        if question in {"height", "status"}:
            questions.append(question)
            if len(questions) == 2:
                chain.land_what_lingers()
                chain.expire()

    chain.before_answer = before_answer
    order_id = await books.accept()
    await Driver(books, paper_venues(chain)).finish(order_id)
    return await violations(books.url, landed=chain.landed, of=[order_id])


async def test_a_landing_between_two_questions_is_not_taken_for_expired(books: Books) -> None:
    assert await a_landing_between_two_questions(books) == {}


async def test_an_engine_that_asks_for_the_status_first_would_fill_an_order_twice(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settlement, "_look", status_first)

    assert "filled_twice" in await a_landing_between_two_questions(books)


async def test_engines_that_race_for_the_same_orders_fill_each_once(books: Books) -> None:
    orders = [await books.accept() for _ in range(20)]
    chain = PaperChain()
    chain.fates.extend([Fate.FAIL, Fate.VANISH] * 5)
    async with books.ledgers(3) as ledgers:
        drivers = [Driver(books, paper_venues(chain), ledger=ledger) for ledger in ledgers]
        await asyncio.gather(*(
            driver.finish(order_id) for driver, step in zip(drivers, (1, -1, 1), strict=True) for order_id in orders[::step]
        ))  # fmt: skip

    assert sorted(chain.landed) == sorted(orders)
    assert await violations(books.url, landed=chain.landed, of=orders) == {}


@pytest.mark.parametrize("method", ["quote", "build", "submit", "height", "status"])
async def test_a_process_that_slept_through_its_own_burial_does_no_harm(books: Books, method: str) -> None:
    order_id = await books.accept()
    chain = PaperChain()
    sleepy, _ = venues = paper_venues(chain)
    wake_up = sleepy.hold(method)
    sleeper = Driver(books, venues)
    asleep = asyncio.create_task(sleeper.drive(order_id))
    await has_been_called(sleepy, method)
    await sleeper.die()

    await Driver(books, paper_venues(chain)).finish(order_id)
    received = list(chain.received)
    wake_up.set()
    await asleep  # it is told that the order is lost, and stops without an error

    assert chain.landed == [order_id]
    assert set(chain.received) == set(received)
    assert await violations(books.url, landed=chain.landed, of=[order_id]) == {}


async def test_a_worker_without_its_database_goes_on_with_its_own_orders_later(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "OUTAGE_GRACE", 0.1)
    order_id = await books.accept()
    chain = PaperChain()
    raydium = PaperVenue("raydium", chain, 204_487_500, 25)
    gate = raydium.hold("status")
    async with AsyncExitStack() as stack:
        wire = await stack.enter_async_context(wire_to_postgres(books.url))
        ledger = Ledger(wire.through(conninfo(books.url, "ledger")))
        driver = Driver(books, [raydium], ledger=await stack.enter_async_context(ledger))
        drive = asyncio.create_task(driver.drive(order_id))
        await has_been_called(raydium, "status")
        wire.cut()
        gate.set()
        with pytest.raises(StorageUnavailable):  # its job comes again
            await drive
        assert await books.status(order_id) == "submitted"
        wire.mend()
        while await books.status(order_id) != "confirmed":  # the test's own timeout bounds it
            with suppress(StorageUnavailable):
                await driver.drive(order_id)

    assert (await books.order(order_id)).deaths == 0
    assert await violations(books.url, landed=chain.landed, of=[order_id]) == {}

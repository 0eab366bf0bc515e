"""The engine on the way that most orders go, with one venue or another, one by one or many at once."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from app.errors import QuoteUnavailable, Unfillable
from app.execution import steps
from tests.support.books import Books
from tests.support.checker import violations

from .driving import Driver
from .paper import PaperChain, PaperVenue, has_been_called, paper_venues


async def test_an_order_goes_all_the_way_in_five_events(books: Books, chain: PaperChain) -> None:
    order_id = await books.accept()
    driver = Driver(books, paper_venues(chain))

    await driver.drive(order_id)

    [attempt] = await books.attempts(order_id)
    assert await books.events(order_id) == [
        (1, "pending", {}),
        (2, "routing", {"attempt": 1}),
        (3, "building", {
            "dex": "raydium",
            "quotes": [
                {"dex": "raydium", "price": 164, "fee": 0.0025, "amountOut": 204.4875},
                {"dex": "meteora", "price": 163.691073220, "fee": 0.003, "amountOut": 204},
            ],
            "attempt": 1,
        }),
        (4, "submitted", {"txHash": attempt.signature, "dex": "raydium", "minAmountOut": 203.465062, "attempt": 1}),
        (5, "confirmed", {
            "txHash": attempt.signature, "dex": "raydium", "executedPrice": 163.2, "amountOut": 204,
        }),
    ]  # fmt: skip
    order = await books.order(order_id)
    assert (order.venue, order.quoted_out, order.min_out) == ("raydium", 204_487_500, 203_465_062)
    assert (order.amount_out, order.signature, order.claimed_by) == (204_000_000, attempt.signature, None)
    assert (attempt.outcome, attempt.raw) == ("landed", attempt.signature.encode())
    assert await violations(books.url, landed=chain.landed, of=[order_id]) == {}


async def test_watchers_are_told_what_the_ledger_says(books: Books, chain: PaperChain) -> None:
    order_id = await books.accept()
    driver = Driver(books, paper_venues(chain))

    await driver.drive(order_id)

    told = [(e.sequence, e.status, msgspec.json.decode(e.data)) for e in driver.published]
    assert told == [tuple(event) for event in (await books.events(order_id))[1:]]


async def test_of_equal_quotes_all_workers_choose_the_same_and_show_it_first(
    books: Books, chain: PaperChain
) -> None:
    order_id = await books.accept()
    raydium, meteora = paper_venues(chain)
    raydium.amount_out = meteora.amount_out

    await Driver(books, (raydium, meteora)).drive(order_id)

    building = (await books.events(order_id))[2].data
    assert building["dex"] == "meteora"
    assert [quote["dex"] for quote in building["quotes"]] == ["meteora", "raydium"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (QuoteUnavailable("the pool is paused"), "venue_unavailable"),
        (Unfillable("too much"), "unfillable_amount"),
        (TimeoutError(), "quote_timeout"),
        (RuntimeError("a bug"), "venue_unavailable"),
    ],
    ids=str,
)
async def test_a_venue_without_a_quote_costs_nothing_but_its_quote(
    books: Books, chain: PaperChain, error: Exception, code: str
) -> None:
    order_id = await books.accept()
    raydium, meteora = paper_venues(chain)
    raydium.fail("quote", error)

    await Driver(books, (raydium, meteora)).drive(order_id)

    building = (await books.events(order_id))[2].data
    assert (building["dex"], [quote["dex"] for quote in building["quotes"]]) == ("meteora", ["meteora"])
    [unavailable] = building["unavailable"]
    assert (unavailable["dex"], unavailable["code"]) == ("raydium", code)
    assert unavailable["message"]
    assert await books.outcome(order_id) == ("confirmed", None)


async def test_a_venue_that_does_not_answer_is_not_waited_for(
    books: Books, chain: PaperChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "QUOTE_SECONDS", 0.05)
    order_id = await books.accept()
    raydium, meteora = paper_venues(chain)
    raydium.stage.has_ended = True
    meteora.stage = type(raydium.stage)()

    await Driver(books, (raydium, meteora)).drive(order_id)

    building = (await books.events(order_id))[2].data
    assert [(each["dex"], each["code"]) for each in building["unavailable"]] == [("raydium", "quote_timeout")]
    assert await books.outcome(order_id) == ("confirmed", None)


async def test_orders_are_driven_side_by_side(books: Books, chain: PaperChain) -> None:
    orders = [await books.accept() for _ in range(30)]
    driver = Driver(books, paper_venues(chain))
    await driver.drive(orders[0])

    await asyncio.gather(*(driver.drive(order_id) for order_id in orders))

    assert sorted(chain.landed) == sorted(orders)
    assert await violations(books.url, landed=chain.landed, of=orders) == {}


async def test_an_order_that_an_engine_drives_already_is_left_to_it(books: Books, chain: PaperChain) -> None:
    order_id = await books.accept()
    raydium = PaperVenue("raydium", chain, 204_487_500, 25)
    gate = raydium.hold("quote")
    driver = Driver(books, [raydium])
    drive = asyncio.create_task(driver.drive(order_id))
    await has_been_called(raydium, "quote")

    await driver.drive(order_id)  # comes back at once

    assert (await books.order(order_id)).fence == 1
    gate.set()
    await drive
    assert await books.outcome(order_id) == ("confirmed", None)


async def test_an_engine_has_no_more_orders_in_flight_than_it_may(books: Books, chain: PaperChain) -> None:
    orders = [await books.accept() for _ in range(6)]
    raydium = PaperVenue("raydium", chain, 204_487_500, 25)
    gate = raydium.hold("quote")
    driver = Driver(books, [raydium], concurrency=2)
    await driver.drive(await books.accept(queue=False))  # nothing to do; the worker is known from now on
    drives = asyncio.gather(*(driver.drive(order_id) for order_id in orders * 3))
    await has_been_called(raydium, "quote", times=2)

    assert driver.engine.in_flight == 6
    assert not await driver.engine.has_room(patience=0)
    assert sorted([await books.status(order_id) for order_id in orders]) == ["pending"] * 4 + ["routing"] * 2

    gate.set()
    await drives
    assert await driver.engine.has_room(patience=0)
    assert sorted(chain.landed) == sorted(orders)
    assert [len(await books.path(order_id)) for order_id in orders] == [5] * 6

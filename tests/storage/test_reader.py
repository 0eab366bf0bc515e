from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
from psycopg.conninfo import conninfo_to_dict

from app.errors import StorageUnavailable
from app.orders.lifecycle import Status
from app.orders.model import new_order_id
from app.orders.tokens import SOL, USDC
from app.storage.database import Database, conninfo
from app.storage.reader import OrderHead, OrderReader, OrderView
from app.storage.revision import REVISION
from app.storage.sessions import open_sessions
from tests.builders import a_request
from tests.support.books import Books, a_move
from tests.support.wire import wire_to_postgres


@pytest.fixture
async def reader(shared_database_url: str) -> AsyncIterator[OrderReader]:
    async with (
        Database(conninfo(shared_database_url, "reader")) as database,
        open_sessions(shared_database_url) as sessions,
    ):
        yield OrderReader(database, sessions)


async def test_an_order_is_found_with_everything_its_owner_may_see(books: Books, reader: OrderReader) -> None:
    order_id = await books.accept(a_request("1.25", slippage_bps=70, wallet="a wallet"))
    claimed = await books.bring_to(Status.SUBMITTED, order_id)
    await books.ledger.move(a_move(claimed, Status.CONFIRMED, amount_out=204_000_000))
    row = await books.order(order_id)

    assert await reader.find(order_id) == OrderView(
        id=order_id, account="default", type="market", token_in=SOL, token_out=USDC, amount_in=1_250_000_000,
        slippage_bps=70, wallet="a wallet", scenario=None, status=Status.CONFIRMED, sequence=5, queued=True, attempts=1,
        venue="raydium", signature=row.signature, quoted_out=204_487_500, min_out=203_465_062,
        amount_out=204_000_000, failure_code=None, failure_message=None, funds_moved=None,
        created_at=row.created_at, updated_at=row.updated_at,
    )  # fmt: skip
    assert await reader.head(order_id) == OrderHead(Status.CONFIRMED, 5)


async def test_an_order_in_a_list_is_the_same_as_the_one_that_is_found(
    books: Books, reader: OrderReader
) -> None:
    wallet = str(uuid4())
    order_id = await books.accept(a_request(wallet=wallet), queue=False)

    page = await reader.page(wallet=wallet)

    assert page.orders == [await reader.find(order_id)]
    assert not page.has_more
    assert page.orders[0].queued is False


async def test_a_list_from_a_silent_server_is_given_up_in_time(
    shared_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with wire_to_postgres(shared_database_url) as wire:
        place = wire.through(conninfo(shared_database_url, "reader"))
        parts = conninfo_to_dict(place)
        url = f"postgresql://{parts['user']}:{parts.get('password', '')}@{parts['host']}:{parts['port']}/{parts['dbname']}"
        async with Database(place) as database, open_sessions(url) as sessions:
            reader = OrderReader(database, sessions)
            await reader.page()
            monkeypatch.setattr("app.storage.reader.READ_SECONDS", 0.2)
            wire.freeze()
            async with asyncio.timeout(2):
                with pytest.raises(StorageUnavailable, match="did not answer within"):
                    await reader.page()
            wire.cut()


async def test_what_is_not_there_is_not_found(reader: OrderReader) -> None:
    unknown = new_order_id()

    assert await reader.find(unknown) is None
    assert await reader.head(unknown) is None
    assert await reader.events(unknown) == []
    assert (await reader.page(wallet=str(unknown))).orders == []


async def test_events_come_in_order_and_from_where_they_are_wanted(books: Books, reader: OrderReader) -> None:
    order_id = (await books.bring_to(Status.CONFIRMED)).order.id

    assert [event.sequence for event in await reader.events(order_id)] == [1, 2, 3, 4, 5]
    assert [event.status for event in await reader.events(order_id, after=3)] == ["submitted", "confirmed"]
    assert await reader.events(order_id, after=5) == []
    first = (await reader.events(order_id))[0]
    assert bytes(first.data) == b"{}"
    assert len(first.at) == len("2026-11-20T06:12:01.123Z")


async def test_events_of_many_orders_come_each_from_its_own_place(books: Books, reader: OrderReader) -> None:
    one = (await books.bring_to(Status.CONFIRMED)).order.id
    other = (await books.bring_to(Status.BUILDING)).order.id

    events = await reader.events_after([(other, 1), (one, 3), (new_order_id(), 0)])

    assert [event.sequence for event in events if event.order_id == one] == [4, 5]
    assert [event.sequence for event in events if event.order_id == other] == [2, 3]
    assert len(events) == 4


async def test_pages_show_every_order_once_and_the_newest_first(books: Books, reader: OrderReader) -> None:
    wallet = str(uuid4())
    orders = [await books.accept(a_request(wallet=wallet)) for _ in range(7)]
    seen: list[UUID] = []
    before: UUID | None = None
    has_more = True
    while has_more:
        page = await reader.page(wallet=wallet, limit=3, before=before)
        seen += [order.id for order in page.orders]
        before, has_more = seen[-1], page.has_more
        await books.accept(a_request(wallet=wallet))  # what comes meanwhile belongs above the first page

    assert seen == sorted(orders, reverse=True)


@pytest.mark.parametrize("limit", [6, 7, 8])
async def test_a_page_says_whether_there_is_more(books: Books, reader: OrderReader, limit: int) -> None:
    wallet = str(uuid4())
    for _ in range(7):
        await books.accept(a_request(wallet=wallet))

    page = await reader.page(wallet=wallet, limit=limit)

    assert (len(page.orders), page.has_more) == (min(limit, 7), limit < 7)


async def test_a_page_of_a_status_has_the_orders_that_are_in_it(books: Books, reader: OrderReader) -> None:
    wallet = str(uuid4())
    expected: dict[Status, UUID] = {}
    for status in Status:
        expected[status] = await books.accept(a_request(wallet=wallet))
        if status is not Status.PENDING:
            claimed = await books.bring_to(
                Status.ROUTING if status is Status.FAILED else status, expected[status]
            )
            if status is Status.FAILED:
                await books.ledger.move(a_move(claimed, status, failure_code="poisoned"))

    for status in Status:
        page = await reader.page(wallet=wallet, status=status)
        assert [order.id for order in page.orders] == [expected[status]]


async def test_a_list_shows_the_orders_of_one_account(books: Books, reader: OrderReader) -> None:
    wallet = str(uuid4())
    of_alice, _ = await books.intake.accept(a_request(wallet=wallet), account="alice")
    await books.accept(a_request(wallet=wallet))

    page = await reader.page(account="alice", wallet=wallet)

    assert [order.id for order in page.orders] == [of_alice]


async def test_the_reader_knows_the_schema_that_it_reads(reader: OrderReader) -> None:
    assert await reader.revision() == REVISION


async def test_without_a_database_every_call_says_so(shared_database_url: str) -> None:
    async with wire_to_postgres(shared_database_url) as wire:
        away = f"postgresql://u@127.0.0.1:{wire.port}/d"
        wire.cut()
        async with Database(conninfo(away, "reader")) as database, open_sessions(away) as sessions:
            database.pool.timeout = 0.2
            reader = OrderReader(database, sessions)
            for call in (
                reader.find(new_order_id()), reader.head(new_order_id()), reader.events(new_order_id()),
                reader.page(), reader.revision(),
            ):  # fmt: skip
                with pytest.raises(StorageUnavailable):
                    await call

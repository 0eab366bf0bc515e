"""The books: the ledger's database as a test sees it. Orders come in, workers live and die, and every row can be read."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, LiteralString, NamedTuple, Self, cast
from uuid import UUID

import msgspec
from psycopg.rows import namedtuple_row

from app.execution.intake import Intake
from app.jobs.app import enqueue
from app.orders.lifecycle import Status
from app.orders.model import OrderRequest, Quote, SignedTransaction
from app.storage.database import Database, connect, conninfo
from app.storage.ledger import Claimed, Ledger
from app.storage.moves import Move, storing
from tests.builders import a_request


class Event(NamedTuple):
    sequence: int
    status: str
    data: dict[str, Any]


class Books:
    def __init__(self, url: str) -> None:
        self.url = url
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.connection = await connect(conninfo(self.url, "books"))
        self._stack.push_async_callback(self.connection.close)
        self.database = await self._stack.enter_async_context(Database(conninfo(self.url, "books pool")))
        self.intake = await self._stack.enter_async_context(
            Intake(conninfo(self.url, "intake"), self.database, enqueue)
        )
        self.ledger = await self._stack.enter_async_context(self.a_ledger())
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def a_ledger(self) -> Ledger:
        """Another process's way to the ledger."""
        return Ledger(conninfo(self.url, "ledger"))

    @asynccontextmanager
    async def ledgers(self, count: int) -> AsyncIterator[list[Ledger]]:
        async with AsyncExitStack() as stack:
            yield [await stack.enter_async_context(self.a_ledger()) for _ in range(count)]

    async def ask(self, query: LiteralString, *arguments: Any) -> list[Any]:
        async with self.connection.cursor(row_factory=namedtuple_row) as cursor:
            await cursor.execute(query, arguments)
            return await cursor.fetchall() if cursor.description else []

    async def accept(self, request: OrderRequest | None = None, *, queue: bool = True) -> UUID:
        return (await self.intake.accept(request or a_request(), queue=queue)).order_id

    async def order(self, order_id: UUID) -> Any:
        [row] = await self.ask("SELECT * FROM orders WHERE id = %s", order_id)
        return row

    async def status(self, order_id: UUID) -> str:
        return str((await self.order(order_id)).status)

    async def outcome(self, order_id: UUID) -> tuple[str, str | None]:
        """Where the order is, and why it failed."""
        order = await self.order(order_id)
        return order.status, order.failure_code

    async def events(self, order_id: UUID) -> list[Event]:
        query: LiteralString = (
            "SELECT sequence, status, data::text FROM order_events WHERE order_id = %s ORDER BY sequence"
        )
        rows = await self.ask(query, order_id)
        return [Event(row.sequence, row.status, json.loads(row.data)) for row in rows]

    async def path(self, order_id: UUID) -> list[str]:
        """Every status that the order has been in."""
        return [event.status for event in await self.events(order_id)]

    async def attempts(self, order_id: UUID) -> list[Any]:
        return await self.ask("SELECT * FROM order_attempts WHERE order_id = %s ORDER BY number", order_id)

    async def jobs_of(self, order_id: UUID) -> list[Any]:
        return await self.ask(
            "SELECT * FROM procrastinate_jobs WHERE args -> 'order_ids' ? %s ORDER BY id", str(order_id)
        )

    async def a_worker(self, heartbeat: dt.timedelta = dt.timedelta(0)) -> int:
        """A worker whose heart last beat that long ago."""
        query: LiteralString = (
            "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (clock_timestamp() - %s) RETURNING id"
        )
        [row] = await self.ask(query, heartbeat)
        return int(row.id)

    async def bury(self, worker: int) -> None:
        """The worker is known to be dead."""
        await self.ask("DELETE FROM procrastinate_workers WHERE id = %s", worker)

    async def outlive_the_start(self) -> None:
        """Until the server is so old that silence means something: its start counts as everybody's heartbeat."""
        is_young = True
        while is_young:
            [row] = await self.ask(
                "SELECT now() - pg_postmaster_start_time() < interval '5.1 seconds' AS is_young"
            )
            is_young = row.is_young
            await asyncio.sleep(0.05 * is_young)

    async def make_due(self, order_id: UUID) -> None:
        """The time of a retrying order has come."""
        await self.ask(
            "UPDATE orders SET next_attempt_at = clock_timestamp() WHERE id = %s AND status = 'retrying'",
            order_id,
        )

    async def sabotage(self, function: str, guard: str, replacement: str = "") -> None:
        """Takes a guard out of a function of this database: what a test says of the guard has to fail then."""
        [row] = await self.ask(
            "SELECT pg_get_functiondef(oid) AS text FROM pg_proc WHERE proname = %s", function
        )
        assert row.text.count(guard) == 1
        await self.ask(cast("LiteralString", row.text.replace(guard, replacement).replace("%", "%%")))

    async def claim(self, order_id: UUID, worker: int | None = None, ledger: Ledger | None = None) -> Claimed:
        """The order, won by a worker (a new one, if none is named)."""
        worker = await self.a_worker() if worker is None else worker
        claimed = await (ledger or self.ledger).claim(order_id, worker, max_deaths=100)
        assert isinstance(claimed, Claimed)
        return claimed

    async def bring_to(self, status: Status, order_id: UUID | None = None) -> Claimed:
        """An order in the hands of a worker, moved by it along the shortest way to this status."""
        claimed = await self.claim(order_id or await self.accept())
        for target in WAYS[status]:
            await self.ledger.move(a_move(claimed, target))
            claimed = claimed._replace(order=_at(claimed, target))
        return claimed


WAYS = {
    Status.ROUTING: [],
    Status.BUILDING: [Status.BUILDING],
    Status.SUBMITTED: [Status.BUILDING, Status.SUBMITTED],
    Status.RETRYING: [Status.BUILDING, Status.SUBMITTED, Status.RETRYING],
    Status.CONFIRMED: [Status.BUILDING, Status.SUBMITTED, Status.CONFIRMED],
    Status.FAILED: [Status.FAILED],
}
A_QUOTE = Quote("raydium", 204_487_500, 25)


def a_transaction(claimed: Claimed) -> SignedTransaction:
    """The transaction of an order's attempt; each claim of it signs another one."""
    order = claimed.order
    signature = f"{order.id}/{order.attempt}/{order.fence}"
    return SignedTransaction(signature, signature.encode(), last_valid_height=1000, min_out=203_465_062)


def a_move(claimed: Claimed, target: Status, *, source: Status | None = None, **changes: Any) -> Move:
    """A move of a claimed order from where it stands, with what a move to that status has to say."""
    order = claimed.order
    source = order.status if source is None else source
    known: dict[str, Any] = {}
    if target is Status.BUILDING:
        known |= {"venue": A_QUOTE.venue, "fee_bps": A_QUOTE.fee_bps, "quoted_out": A_QUOTE.amount_out}
    if target is Status.SUBMITTED:
        known |= storing(a_transaction(claimed))
    if target is Status.RETRYING:
        known |= {"delay_ms": 60_000}
    if source is Status.SUBMITTED:
        known |= {"outcome": "landed" if target is Status.CONFIRMED else "expired"}
    return Move(order.id, order.fence, source, target, changes.pop("data", {}), **(known | changes))


def _at(claimed: Claimed, status: Status) -> Any:
    return msgspec.structs.replace(claimed.order, status=status, sequence=claimed.order.sequence + 1)

"""Reading the ledger: one order, its events, pages of orders."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import cache
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import UUID

import msgspec
import psycopg
from sqlalchemy import BigInteger, ColumnElement, Select, bindparam, column, select, table, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.orders.lifecycle import Status
from app.orders.model import OrderEvent
from app.orders.scenarios import Scenario, scenario_of
from app.orders.tokens import Token, token_named
from app.storage.database import READ_SECONDS, Database, answer_within, unavailable
from app.storage.models import OrderRow
from app.storage.queries import QUERIES
from app.storage.sessions import SESSION_AWAY

Listing: TypeAlias = Select[int, OrderRow]

_LOG_ENDS: Final = table("order_log_ends", column("head", BigInteger))
_FILTERS: Final[dict[str, ColumnElement[bool]]] = {
    "account": OrderRow.account == bindparam("account"),
    "wallet": OrderRow.wallet == bindparam("wallet"),
    "before": OrderRow.id < bindparam("before"),
}


class OrderView(msgspec.Struct, frozen=True):
    """An order as its owner may see it; amounts in base units."""

    id: UUID
    account: str
    type: str
    token_in: Token
    token_out: Token
    amount_in: int
    slippage_bps: int
    wallet: str | None
    scenario: Scenario | None
    status: Status
    sequence: int
    queued: bool
    attempts: int
    venue: str | None
    signature: str | None
    quoted_out: int | None
    min_out: int | None
    amount_out: int | None
    failure_code: str | None
    failure_message: str | None
    funds_moved: str | None
    created_at: dt.datetime
    updated_at: dt.datetime


class OrderHead(NamedTuple):
    status: Status
    sequence: int


class OrderPage(msgspec.Struct, frozen=True):
    """Orders as they were when the log stood at `as_of`: its events up to there are in them, and no later ones."""

    orders: list[OrderView]
    has_more: bool
    as_of: int


class OrderReader:
    """Every call raises StorageUnavailable when the database is away."""

    def __init__(self, database: Database, sessions: Callable[[], AsyncSession]) -> None:
        self._database = database
        self._sessions = sessions

    async def find(self, order_id: UUID) -> OrderView | None:
        row = await self._one("find_order", order_id)
        return None if row is None else _view(*row)

    async def head(self, order_id: UUID) -> OrderHead | None:
        row = await self._one("order_head", order_id)
        return None if row is None else OrderHead(Status(row[0]), row[1])

    async def events(self, order_id: UUID, after: int = 0) -> list[OrderEvent]:
        """The order's events past a sequence; none for an unknown order too."""
        return await self.events_after([(order_id, after)])

    async def events_after(self, cursors: Sequence[tuple[UUID, int]]) -> list[OrderEvent]:
        """The events of many orders, past a sequence each; per order in the order of their sequence."""
        orders = [order_id for order_id, _ in cursors]
        afters = [after for _, after in cursors]
        async with self._database.connection() as connection:
            cursor = await connection.execute(QUERIES["events_after"], (orders, afters))
            rows = await cursor.fetchall()
        return [
            OrderEvent(order_id, sequence, Status(status), at, msgspec.Raw(data.encode()), position)
            for order_id, sequence, status, at, data, position in rows
        ]

    async def page(
        self,
        *,
        account: str = "default",
        wallet: str | None = None,
        status: Status | None = None,
        limit: int = 50,
        before: UUID | None = None,
    ) -> OrderPage:
        """The newest orders first; `before` is the last order of the page above."""
        filters = {"account": account, "wallet": wallet, "before": before}
        given = {name: value for name, value in filters.items() if value is not None}
        listing = _listing(frozenset(given), status)
        as_of, rows = await answer_within(READ_SECONDS, self._rows(listing, {**given, "most": limit + 1}))
        return OrderPage([_view_of(row) for row in rows[:limit]], len(rows) > limit, as_of)

    async def _rows(self, listing: Listing, parameters: dict[str, Any]) -> tuple[int, list[OrderRow]]:
        """The rows, and the log's head of the same snapshot."""
        with unavailable(*SESSION_AWAY):
            async with self._sessions() as session:
                rows = (await session.execute(listing, parameters)).all()
        return rows[0][0], [row for _, row in rows if row is not None]

    async def revision(self) -> str | None:
        """The schema that the database is at; None when it was never migrated."""
        async with self._database.connection() as connection:
            try:
                cursor = await connection.execute(QUERIES["revision"])
            except psycopg.errors.UndefinedTable:
                return None
            row = await cursor.fetchone()
        return None if row is None else str(row[0])

    async def _one(self, query: str, order_id: UUID) -> tuple[Any, ...] | None:
        async with self._database.connection() as connection:
            cursor = await connection.execute(QUERIES[query], (order_id,))
            return await cursor.fetchone()


@cache
def _listing(filters: frozenset[str], status: Status | None) -> Listing:
    """The newest orders that pass these filters, and the log's head of the same snapshot, which is one statement's.

    Made once: putting such a statement together takes longer than executing it.
    """
    conditions = [_FILTERS[name] for name in sorted(filters)]
    if status is not None:
        conditions += _with_status(status)
    newest = (
        select(OrderRow).where(*conditions).order_by(OrderRow.id.desc()).limit(bindparam("most")).subquery()
    )
    order = aliased(OrderRow, newest)
    return select(_LOG_ENDS.c.head, order).outerjoin_from(_LOG_ENDS, order, true()).order_by(order.id.desc())


def _with_status(status: Status) -> list[ColumnElement[bool]]:
    """Says more than the status, so that a partial index serves: an index on status itself would slow every move."""
    conditions: list[ColumnElement[bool]] = [OrderRow.status == status]
    if status is Status.FAILED:
        conditions.append(OrderRow.failure_code.is_not(None))
    elif not status.is_final:
        conditions.append(OrderRow.is_open == true())
    return conditions


def _view_of(row: OrderRow) -> OrderView:
    return _view(
        row.id, row.account, row.type, row.token_in, row.token_out, row.amount_in, row.slippage_bps, row.wallet,
        row.scenario, row.status, row.sequence, row.queued_at is not None, row.attempt, row.venue, row.signature, row.quoted_out,
        row.min_out, row.amount_out, row.failure_code, row.failure_message, row.funds_moved, row.created_at,
        row.updated_at,
    )  # fmt: skip


def _view(*columns: Any) -> OrderView:
    """An order from the columns of `find_order`."""
    view = dict(zip(OrderView.__struct_fields__, columns, strict=True))
    view |= {side: token_named(view[side]) for side in ("token_in", "token_out")}
    view |= {name: int(value) for name, value in view.items() if isinstance(value, Decimal)}
    view |= {"status": Status(view["status"]), "scenario": scenario_of(view["scenario"])}
    return OrderView(**view)

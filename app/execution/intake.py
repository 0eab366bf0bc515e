"""Intake: what makes an order accepted. Order, first event, job and notification commit together, or not at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple, TypeAlias
from uuid import UUID

import msgspec

from app.errors import IdempotencyMismatch, NotExecutable, StorageUnavailable, UnknownOrder
from app.orders.fingerprint import fingerprint
from app.orders.model import OrderRequest, new_order_id
from app.storage.database import Connection, Database, unavailable
from app.storage.group_commit import GroupCommit
from app.storage.laned import Laned
from app.storage.queries import QUERIES
from app.storage.statement import Statement

DEFAULT_ACCOUNT: Final = "default"

# Queues a look at these orders in the caller's transaction: a job that commits or rolls back with them.
Enqueue: TypeAlias = Callable[[Connection, Sequence[UUID]], Awaitable[None]]


class Accepted(NamedTuple):
    order_id: UUID
    replayed: bool  # the key had been used for this very request; nothing was stored


class _NewOrder(msgspec.Struct, frozen=True):
    """One row for `accept_orders`."""

    id: UUID
    account: str
    idempotency_key: str | None
    fingerprint: str
    type: str
    token_in: str
    token_out: str
    amount_in: int
    slippage_bps: int
    wallet: str | None
    scenario: str | None
    queue: bool


class _Stored(NamedTuple):
    """What became of a new order: stored under its own id, or known already, by that request, as `order_id`."""

    requested_id: UUID
    order_id: UUID
    known: bytes | None  # the fingerprint of the order that was there before


_ENCODER: Final = msgspec.json.Encoder()
_ACCEPT: Final = Statement(QUERIES["accept_orders"])


class Intake(Laned):
    def __init__(self, conninfo: str, database: Database, enqueue: Enqueue) -> None:
        self._database = database
        self._enqueue = enqueue
        self._lane: GroupCommit[_NewOrder, Accepted] = GroupCommit("intake", conninfo, self._write)

    async def accept(
        self,
        request: OrderRequest,
        *,
        account: str = DEFAULT_ACCOUNT,
        key: str | None = None,
        mark: bytes | None = None,
        queue: bool = True,
    ) -> Accepted:
        """Stores the order, and queues it unless told not to; when this returns, it is committed.

        `mark` is the request's fingerprint, where the caller has made it already.

        Raises IdempotencyMismatch when the key belongs to another request, and StorageUnavailable when it is not
        known whether the order was stored: asking again with the same key is safe.
        """
        return await self._lane.submit(
            _NewOrder(
                id=new_order_id(),
                account=account,
                idempotency_key=key,
                fingerprint=(mark or fingerprint(request, queue)).hex(),
                type=request.type,
                token_in=request.swap.token_in.symbol,
                token_out=request.swap.token_out.symbol,
                amount_in=request.swap.amount_in,
                slippage_bps=request.slippage_bps,
                wallet=request.wallet,
                scenario=request.scenario,
                queue=queue,
            )
        )

    async def execute(self, order_id: UUID, *, account: str = DEFAULT_ACCOUNT) -> None:
        """Queues a stored order; of many callers at once exactly one succeeds.

        Raises UnknownOrder, NotExecutable or StorageUnavailable.
        """
        order = {"id": order_id, "account": account}
        with unavailable():
            async with self._database.connection() as connection, connection.transaction():
                cursor = await connection.execute(QUERIES["queue_order"], order)
                if await cursor.fetchone() is not None:
                    await self._enqueue(connection, [order_id])
                    return
                cursor = await connection.execute(QUERIES["owned_order"], order)
                if await cursor.fetchone() is None:
                    raise UnknownOrder(str(order_id))
                raise NotExecutable(str(order_id))

    async def _write(
        self, connection: Connection, orders: Sequence[_NewOrder]
    ) -> Sequence[Accepted | Exception]:
        rows = await _ACCEPT.rows(connection, _ENCODER.encode(orders).decode(), row=_Stored._make)
        stored = {row.requested_id: row for row in rows}
        return [_answer(order, stored.get(order.id)) for order in orders]


def _answer(order: _NewOrder, stored: _Stored | None) -> Accepted | Exception:
    if stored is None:
        return StorageUnavailable("the order that has this idempotency key is just being pruned")
    if stored.known is None:
        return Accepted(order.id, replayed=False)
    if stored.known.hex() != order.fingerprint:
        return IdempotencyMismatch("the idempotency key was used for another request")
    return Accepted(stored.order_id, replayed=True)

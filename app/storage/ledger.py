"""The worker's side of the ledger: claim, move, release. All writes of one process share one lane."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar
from uuid import UUID

import msgspec

from app.errors import LostClaim
from app.orders.lifecycle import Status
from app.orders.model import Attempt, Order, OrderEvent, OrderRequest, Quote, SignedTransaction, Swap
from app.orders.scenarios import scenario_of
from app.orders.tokens import token_named
from app.storage.database import Connection
from app.storage.group_commit import GroupCommit
from app.storage.laned import Laned
from app.storage.ledger_rows import ClaimRow, MoveRow
from app.storage.moves import Move, events_of, is_next, joined
from app.storage.queries import QUERIES
from app.storage.statement import Statement

Row = TypeVar("Row")
Item: TypeAlias = "Claim | Move | Release"


class Claim(msgspec.Struct, frozen=True):
    """Asks for an order, unless more than `max_deaths` workers died while holding it."""

    id: UUID
    worker: int
    max_deaths: int


class Claimed(NamedTuple):
    """An order won; `event` is its step to `routing`, or None when it was taken over where it stood."""

    order: Order
    deaths: int
    event: OrderEvent | None


class Suspect(NamedTuple):
    """An order that was left alone, because so many workers died while holding it."""

    deaths: int


class Release(msgspec.Struct, frozen=True):
    """Hands an order back; `died` counts as a worker's death."""

    id: UUID
    fence: int
    died: bool


_Placed: TypeAlias = "tuple[int, Item]"  # with its place in the batch


class Ledger(Laned):
    def __init__(self, conninfo: str) -> None:
        self._lane: GroupCommit[Item, Any] = GroupCommit("ledger", conninfo, self._write, kind=type)

    async def claim(self, order_id: UUID, worker: int, max_deaths: int) -> Claimed | Suspect | None:
        """The order, if this worker won it; None when there is nothing to do. Raises StorageUnavailable.

        An order that this version of the engine cannot read is handed back, and the ValueError raised.
        """
        row: ClaimRow | None = await self._lane.submit(Claim(order_id, worker, max_deaths))
        if row is None:
            return None
        if not row.claimed:
            return Suspect(row.deaths)
        try:
            return _claimed(row)
        except ValueError:
            await self._lane.submit(Release(order_id, row.fence, died=False))
            raise

    def move(self, move: Move) -> asyncio.Future[OrderEvent]:
        """Begins a move; the event that it appends, or LostClaim when the guard refused it, or StorageUnavailable.

        A move to `retrying` queues the next look at the order in the same transaction. Two moves that follow one
        another and wait at the same time are one.
        """
        return self._lane.put(move)

    async def release(self, order: Order, *, died: bool = False) -> None:
        """Hands the order back: any worker may take it over. Raises LostClaim or StorageUnavailable."""
        await self._lane.submit(Release(order.id, order.fence, died))

    async def _write(self, connection: Connection, items: Sequence[Item]) -> Sequence[Any]:
        """One statement, unless items for an order neither are one nor follow one another: then it takes rounds."""
        results: list[Any] = [None] * len(items)
        left = list(enumerate(items))
        while left:
            batch, left = _round_of(left)
            answers = await self._write_round(connection, list(map(_one, batch.values())))
            for order_id, members in batch.items():
                made = answers.get(order_id)
                if made is None:  # the first of two cannot be made; the second may still
                    made = [_refused(members[0][1])]
                    left[:0] = members[1:]
                for (place, _), answer in zip(members, made, strict=False):
                    results[place] = answer
        return results

    async def _write_round(
        self, connection: Connection, items: Sequence[Item]
    ) -> Mapping[UUID, Iterable[Any]]:
        """What became of each order: an answer for each item that was joined; items are of one kind."""
        if isinstance(items[0], Claim):
            claims = await _call(_CLAIM, connection, items, ClaimRow._make)
            return {row.order_id: [row] for row in claims}
        if isinstance(items[0], Move):
            moves = {move.id: move for move in items if isinstance(move, Move)}
            made = await _call(_MOVE, connection, items, MoveRow._make)
            return {row.order_id: events_of(moves[row.order_id], row) for row in made}
        return {order_id: [None] for (order_id,) in await _call(_RELEASE, connection, items, tuple)}


_ENCODER: Final = msgspec.json.Encoder()
_CLAIM: Final = Statement(QUERIES["claim_orders"])
_MOVE: Final = Statement(QUERIES["move_orders"])
_RELEASE: Final = Statement(QUERIES["release_orders"])


async def _call(
    statement: Statement, connection: Connection, items: Sequence[Item], row: Callable[[Sequence[Any]], Row]
) -> list[Row]:
    return await statement.rows(connection, _ENCODER.encode(items).decode(), row=row)


def _round_of(items: Iterable[_Placed]) -> tuple[dict[UUID, list[_Placed]], list[_Placed]]:
    """By order, the items that one statement can take, with their places, and what is left for the next."""
    batch: dict[UUID, list[_Placed]] = {}
    left: list[_Placed] = []
    waiting: set[UUID] = set()  # orders with something left: what comes after that has to wait, too
    for place, item in items:
        members = batch.setdefault(item.id, [])
        if item.id not in waiting and (not members or _are_one(members, item)):
            members.append((place, item))
        else:
            waiting.add(item.id)
            left.append((place, item))
    return batch, left


def _are_one(members: Sequence[_Placed], item: Item) -> bool:
    first = members[0][1]
    return len(members) == 1 and isinstance(first, Move) and isinstance(item, Move) and is_next(first, item)


def _one(members: Sequence[_Placed]) -> Item:
    moves = [item for _, item in members if isinstance(item, Move)]
    return joined(moves) if moves else members[0][1]


def _refused(item: Claim | Move | Release) -> LostClaim | None:
    """What no row means: for a claim that there is nothing to do, for the rest that somebody else won."""
    return (
        None
        if isinstance(item, Claim)
        else LostClaim(f"order {item.id} is not held under fence {item.fence}")
    )


def _claimed(row: ClaimRow) -> Claimed:
    status = Status(row.status)
    swap = Swap(token_named(row.token_in), token_named(row.token_out), int(row.amount_in))
    quote = unresolved = None
    if status in {Status.BUILDING, Status.SUBMITTED}:
        quote = Quote(row.venue, int(row.quoted_out), row.fee_bps)
    if row.unresolved_number is not None:
        transaction = SignedTransaction(
            row.signature, bytes(row.raw), row.last_valid_height, int(row.min_out)
        )
        unresolved = Attempt(row.unresolved_number, row.venue, transaction)
    order = Order(
        id=row.order_id,
        request=OrderRequest(swap, row.slippage_bps, row.wallet, row.type, scenario_of(row.scenario)),
        status=status,
        sequence=row.sequence,
        fence=row.fence,
        attempt=row.attempt,
        quote=quote,
        unresolved=unresolved,
    )
    event = None
    if row.event_at is not None:
        data = msgspec.Raw(_ENCODER.encode({"attempt": row.attempt}))
        event = OrderEvent(order.id, order.sequence, status, row.event_at, data)
    return Claimed(order, row.deaths, event)

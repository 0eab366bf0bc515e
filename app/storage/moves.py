"""Moves of orders along the lifecycle, as the ledger takes them; two that follow one another can be one."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from app.orders.failures import Failure
from app.orders.lifecycle import Status, is_allowed
from app.orders.model import OrderEvent, SignedTransaction
from app.storage.ledger_rows import MoveRow

PASSING: Final = {Status.BUILDING}  # reached by changing the order's row alone


class Move(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step along the lifecycle, with what becomes known by it. Amounts in base units, delays in ms."""

    id: UUID
    fence: int
    source: Status
    target: Status
    data: dict[str, Any]
    delay_ms: int | None = None
    outcome: str | None = None  # of the attempt that is alive: landed, failed or expired
    venue: str | None = None
    fee_bps: int | None = None
    quoted_out: int | None = None
    min_out: int | None = None
    signature: str | None = None
    raw: str | None = None  # base64
    last_valid_height: int | None = None
    amount_out: int | None = None
    failure_code: str | None = None
    failure_message: str | None = None
    funds_moved: str | None = None
    via: Status | None = None  # the step on the way, of two that were joined
    via_data: dict[str, Any] | None = None


def is_next(first: Move, second: Move) -> bool:
    """Whether the second goes on from where the first, which changes nothing but its order's row, arrives."""
    is_passing = first.target in PASSING and is_allowed(first.target, second.target)
    return is_passing and (first.target, first.fence) == (second.source, second.fence)


def joined(moves: Sequence[Move]) -> Move:
    """One move for one or two: the second, by way of the first."""
    move = moves[-1]
    if len(moves) == 1:
        return move
    known = {
        name: value
        for each in moves
        for name, value in msgspec.structs.asdict(each).items()
        if value is not None
    }
    return Move(**known | {"source": moves[0].source, "via": moves[0].target, "via_data": moves[0].data})


def events_of(move: Move, row: MoveRow) -> list[OrderEvent]:
    """The events of a move that was made: one for each status that it reached."""
    data = move.data if row.next_attempt_at is None else {**move.data, "nextAttemptAt": row.next_attempt_at}
    reached = [(move.target, data)]
    if move.via is not None and move.via_data is not None:
        reached.insert(0, (move.via, move.via_data))
    first = row.sequence - len(reached) + 1
    return [
        OrderEvent(move.id, first + i, status, row.event_at, msgspec.Raw(msgspec.json.encode(data)))
        for i, (status, data) in enumerate(reached)
    ]


def storing(transaction: SignedTransaction) -> dict[str, Any]:
    """The part of a move that stores a signed attempt."""
    return {
        "signature": transaction.signature,
        "raw": base64.b64encode(transaction.raw).decode(),
        "last_valid_height": transaction.last_valid_height,
        "min_out": transaction.min_out,
    }


def failing(failure: Failure) -> dict[str, Any]:
    """The part of a move that says why an order failed."""
    return {
        "failure_code": failure.code,
        "failure_message": failure.message,
        "funds_moved": failure.funds_moved,
    }

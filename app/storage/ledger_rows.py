"""What the ledger's functions answer, column by column: see migrations/sql/0001_ledger.sql. Amounts in base units."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple
from uuid import UUID


class ClaimRow(NamedTuple):
    """Of `claim_orders`: an order that was won, or, not claimed, one that was left alone and has no more than its deaths."""

    order_id: UUID
    claimed: bool
    event_at: str | None
    deaths: int
    status: str
    sequence: int
    fence: int
    attempt: int
    type: str
    token_in: str
    token_out: str
    amount_in: Decimal
    slippage_bps: int
    wallet: str | None
    scenario: str | None
    venue: str
    fee_bps: int
    quoted_out: Decimal
    unresolved_number: int | None
    signature: str
    raw: bytes
    last_valid_height: int
    min_out: Decimal


class MoveRow(NamedTuple):
    """Of `move_orders`: a move that was made, with the sequence and time of its last event."""

    order_id: UUID
    sequence: int
    event_at: str
    next_attempt_at: str | None

"""The newest orders: a snapshot, kept current by the log."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from app.terminal import board as board_module
from app.terminal.board import Board, read_snapshot
from app.terminal.render import Step

NOON = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
ASKED = {
    "type": "market",
    "tokenIn": "SOL",
    "tokenOut": "USDC",
    "amount": Decimal("1.250"),
    "slippageBps": 70,
    "wallet": None,
}


def a_step(
    order_id: str, sequence: int, status: str, order: dict[str, Any] | None = None, **data: Any
) -> Step:
    return Step(
        order_id, sequence, status, NOON + dt.timedelta(seconds=sequence), data, 100 + sequence, order
    )


def an_answer(*order_ids: str, status: str = "pending", sequence: int = 1) -> bytes:
    orders = [
        {
            "orderId": order_id, "tokenIn": "SOL", "tokenOut": "USDC", "amount": 1.250, "status": status,
            "sequence": sequence, "createdAt": "2026-11-20T12:00:00.000Z", "updatedAt": "2026-11-20T12:00:01.000Z",
            "wallet": None, "dex": None, "amountOut": None, "failure": None, "txHash": None,
        }
        for order_id in order_ids
    ]  # fmt: skip
    return msgspec.json.encode({"orders": orders, "hasMore": False, "nextCursor": None, "asOf": 7})


def shown(board: Board, number: int = 10) -> list[tuple[str, str]]:
    return [(entry.order_id, entry.status) for entry in board.newest(number)]


def test_a_snapshot_is_shown_newest_first() -> None:
    board, snapshot = Board(), read_snapshot(an_answer("c", "b", "a"))
    board.show(snapshot)
    assert snapshot.as_of == 7
    assert shown(board, 2) == [("c", "pending"), ("b", "pending")]


def test_a_new_order_comes_to_the_top_and_moves_with_its_steps() -> None:
    board = Board()
    board.show(read_snapshot(an_answer("old")))
    board.move(a_step("new", 1, "pending", ASKED))
    board.move(a_step("new", 2, "routing", attempt=1))
    board.move(a_step("new", 3, "building", dex="meteora"))
    board.move(a_step("new", 4, "retrying", code="venue_unavailable"))
    assert shown(board) == [("new", "retrying"), ("old", "pending")]
    (new,) = board.newest(1)
    assert new.failure is not None
    assert (new.amount, new.dex, new.failure.code) == (Decimal("1.250"), "meteora", "venue_unavailable")
    board.move(a_step("new", 8, "confirmed", dex="raydium", amountOut=Decimal("191.85")))
    (new,) = board.newest(1)
    assert (new.is_final, new.dex, new.amount_out, new.failure) == (True, "raydium", Decimal("191.85"), None)
    assert new.took == dt.timedelta(seconds=7)


def test_a_step_that_the_snapshot_holds_already_changes_nothing() -> None:
    board = Board()
    board.show(read_snapshot(an_answer("a", status="confirmed", sequence=5)))
    board.move(a_step("a", 4, "submitted"))
    assert shown(board) == [("a", "confirmed")]


def test_an_order_older_than_those_shown_stays_unknown() -> None:
    board = Board()
    board.move(a_step("old", 3, "building"))
    board.move(a_step("of another version", 1, "pending", {"sells": "SOL"}))
    assert shown(board) == []


def test_only_the_newest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_module, "MAX_ROWS", 2)
    board = Board()
    for order_id in "abc":
        board.move(a_step(order_id, 1, "pending", ASKED))
    assert [order_id for order_id, _ in shown(board)] == ["c", "b"]


def test_what_is_no_snapshot_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        read_snapshot(b'{"orders": []}')

"""What `order-engine top` draws: the pulse and the newest orders, in a small terminal and in a wide one."""

from __future__ import annotations

import datetime as dt
import io
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from rich.console import Console

from app.orders.lifecycle import Status
from app.terminal.board import Board
from app.terminal.frame import SHAPES, Frame
from app.terminal.pulse import Pulse, heading, pulse_lines, pulse_row, read_pulse, span
from tests.terminal.test_board import ASKED, NOON, a_step

STATS: dict[str, Any] = {
    "asOf": 900,
    "ts": "2026-11-20T12:00:30.000Z",
    "windowSeconds": 60,
    "accepted": 3012,
    "confirmed": 2958,
    "failed": 54,
    "ordersPerSecond": 50.2,
    "successRate": 0.9829,
    "latency": {"p50Ms": 2731.4, "p99Ms": 3012},
    "queue": {"pending": 3, "oldestSeconds": 0.23},
    "inFlight": 136,
    "perSecond": [
        {"ts": "2026-11-20T12:00:00.000Z", "accepted": n, "confirmed": n // 2, "failed": 0} for n in range(60)
    ],
    "venues": [
        {"dex": "raydium", "status": "up", "quotes": 1204, "unavailable": 0},
        {"dex": "meteora", "status": "down", "quotes": 0, "unavailable": 31},
    ],
}


def a_pulse(**fields: Any) -> Pulse:
    return read_pulse(msgspec.json.encode({**STATS, **fields}))


def a_board(orders: int) -> Board:
    board = Board()
    for number in range(orders):
        order_id = f"01a1f7bb-017d-7078-b17e-bb5400000{number:03}"
        board.move(a_step(order_id, 1, "pending", {**ASKED, "wallet": f"wallet-{number}"}))
    return board


def drawn(
    board: Board, width: int, height: int, pulse: Pulse | None = None, state: str = "live"
) -> list[str]:
    """The lines on a screen of this size, which they may not exceed."""
    console = Console(
        file=io.StringIO(), width=width, height=height, highlight=False, markup=False, emoji=False
    )
    frame = Frame("http://127.0.0.1:3000", state, NOON + dt.timedelta(seconds=30), pulse or a_pulse(), board)
    lines = console.render_lines(frame, console.options.update_dimensions(width, height))
    text = ["".join(segment.text for segment in line) for line in lines]
    assert len(text) == height
    assert {len(line) for line in text} == {width}
    return [line.rstrip() for line in text]


def test_a_terminal_of_80_by_24_shows_everything() -> None:
    lines = drawn(a_board(100), 80, 24)
    assert lines[0].startswith("order-engine  http://127.0.0.1:3000")
    assert lines[0].endswith("live")
    assert lines[1] == "50.2 orders/s   98.2 % confirmed   POST to confirmed p50 2,731 ms  p99 3,012 ms"
    assert lines[2] == "136 in flight   3 pending, the oldest 0.2 s   54 failed, 3,012 accepted in 60 s"
    assert lines[3].startswith("accepted   ")
    assert lines[3].endswith("█  peak 59/s")
    assert lines[5] == "● raydium up  1,204 quotes   ✕ meteora down  0 quotes, 31 unavailable"
    assert lines[7].split() == ["age", "took", "amount", "received", "status", "venue", "order"]
    assert len([line for line in lines if "pending" in line]) == 17  # 16 orders, and the pulse
    assert lines[8].split()[:4] == ["29", "s", "1.250", "SOL"]
    assert lines[8].endswith("00000099")
    assert lines[23].endswith("00000084")


def test_a_wide_terminal_shows_more_and_a_narrow_one_less() -> None:
    assert "wallet-99" in drawn(a_board(100), 140, 40)[8]
    assert len([line for line in drawn(a_board(100), 140, 40) if "wallet-" in line]) == 32
    assert drawn(a_board(3), 50, 12)[7].split() == ["age", "amount", "received", "status"]


def test_a_tiny_terminal_is_no_error() -> None:
    assert drawn(a_board(3), 20, 3)[0].startswith("ord…")


@pytest.mark.parametrize(
    ("steps", "shown"),
    [
        ([("confirmed", {"dex": "raydium", "amountOut": Decimal("191.851345")})], ["191.851345 USDC", "● confirmed  raydium"]),
        ([("failed", {"code": "slippage_exceeded"})], ["slippage_exceeded", "✕ failed"]),
        ([("retrying", {"code": "quote_timeout"})], ["quote_timeout", "↻ retrying"]),
        ([("retrying", {"code": "quote_timeout"}), ("routing", {"attempt": 2})], ["… USDC", "◔ routing"]),
        ([("frozen\x1b", {})], ["· frozen\N{REPLACEMENT CHARACTER}"]),
    ],
)  # fmt: skip
def test_an_order_shows_what_came_of_it(steps: list[tuple[str, dict[str, Any]]], shown: list[str]) -> None:
    board = a_board(1)
    for sequence, (status, data) in enumerate(steps, 2):
        board.move(a_step("01a1f7bb-017d-7078-b17e-bb5400000000", sequence, status, **data))
    line = drawn(board, 80, 24)[8]
    for text in shown:
        assert text in line


def test_every_status_has_a_shape_of_its_own() -> None:
    assert set(SHAPES) == set(Status)
    assert len(set(SHAPES.values())) == len(SHAPES)


def test_an_engine_at_rest_has_no_figures_to_show() -> None:
    quiet = a_pulse(
        ordersPerSecond=0, successRate=None, latency={"p50Ms": None, "p99Ms": None},
        queue={"pending": 0, "oldestSeconds": None}, perSecond=[],
    )  # fmt: skip
    assert (
        "0.0 orders/s   – confirmed   POST to confirmed p50 –  p99 –" in drawn(a_board(0), 80, 24, quiet)[1]
    )
    assert pulse_lines(quiet, 80)[2].plain == "accepted     peak 0/s"


def test_a_row_of_figures_stands_under_its_heading() -> None:
    names, figures = heading(), pulse_row(a_pulse())
    assert len(names) == len(figures) <= 80
    for name, figure in (("orders/s", "50.2"), ("p99", "3,012 ms"), ("failed", "54"), ("oldest", "0.2 s")):
        assert figures[: names.index(name) + len(name)].endswith(figure)


def test_one_order_in_a_second_is_more_than_none() -> None:
    counts = [{"accepted": n, "confirmed": 0, "failed": 0} for n in (0, 1, 1000)]
    assert "▁▂█" in pulse_lines(a_pulse(perSecond=counts), 80)[2].plain


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0.0 s"), (0.26, "0.3 s"), (42.4, "42 s"), (150, "2 min"), (7200, "2 h"), (259_200, "3 d")],
)
def test_times_are_told_in_their_natural_unit(seconds: float, text: str) -> None:
    assert span(seconds) == text

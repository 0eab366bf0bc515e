"""What a person reads: the facts of each step, in plain words, and nothing that could harm the terminal."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest

from app.orders.lifecycle import Status
from app.orders.model import OrderEvent, new_order_id
from app.terminal.render import (
    COLOURS,
    Step,
    crowd_line,
    facts,
    feed_line,
    short_id,
    step_of_event,
    step_of_message,
    watch_line,
)

AT = "2026-11-20T06:12:01.123Z"
DATA = {
    "pending": "{}",
    "routing": '{"attempt": 1}',
    "building": """{"dex": "raydium", "attempt": 1, "quotes": [
        {"dex": "raydium", "price": 182.410, "fee": 0.0025, "amountOut": 227.44246875},
        {"dex": "meteora", "price": 0.00000123, "fee": 0.003, "amountOut": 1234567}]}""",
    "submitted": """{"txHash": "5VERv8NMvzbJMEkV8xnrLkEaWRtSz9CosKDYjCJjBRnbJLgp8uirBgmQpjKhoR4tjF3ZpRzrFmBV6UjKdiSZkQUW",
        "dex": "raydium", "minAmountOut": 226.305256, "attempt": 1}""",
    "confirmed": '{"txHash": "5VER", "dex": "raydium", "executedPrice": 181.9, "amountOut": 1227.375}',
    "retrying": """{"code": "quote_timeout", "message": "No venue answered in time.", "retryable": true, "fundsMoved": "no",
        "attempt": 1, "maxAttempts": 3, "nextAttemptAt": "2026-11-20T06:12:03.500Z"}""",
    "failed": """{"code": "slippage_exceeded", "message": "The price moved beyond the tolerance.", "retryable": false,
        "fundsMoved": "unknown"}""",
}


def a_step(status: str, data: str | None = None, sequence: int = 3, at: str = AT) -> Step:
    event = OrderEvent(
        new_order_id(), sequence, Status(status), at, msgspec.Raw((data or DATA[status]).encode())
    )
    return step_of_event(event)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("pending", "accepted"),
        ("routing", "asking the venues"),
        (
            "building",
            "raydium chosen: raydium 182.410 (fee 0.25 %), meteora 0.00000123 (fee 0.3 %)",
        ),
        ("submitted", "raydium, transaction 5VERv8NM…kQUW, at least 226.305256"),
        ("confirmed", "received 1,227.375 at 181.9 on raydium"),
        (
            "failed",
            "The price moved beyond the tolerance. It is not known yet whether funds moved. (slippage_exceeded)",
        ),
    ],
)
def test_each_step_tells_its_facts(status: str, text: str) -> None:
    assert facts(a_step(status)) == text


def test_every_status_has_data_here_and_a_colour() -> None:
    assert set(DATA) == set(Status) == set(COLOURS)


def test_a_retry_tells_why_and_when_in_local_time() -> None:
    due = dt.datetime(2026, 11, 20, 6, 12, 3, 500_000, dt.UTC).astimezone()
    assert facts(a_step("retrying")) == (
        f"attempt 1 of 3: No venue answered in time. Next try at {due:%H:%M:%S}.500."
    )


def test_a_venue_without_a_quote_is_named_with_the_reason() -> None:
    data = """{"dex": "meteora", "attempt": 1, "quotes": [{"dex": "meteora", "price": 2, "fee": 0, "amountOut": 2}],
        "unavailable": [{"dex": "raydium", "code": "quote_timeout", "message": "No answer in time."}]}"""
    assert facts(a_step("building", data)) == (
        "meteora chosen: meteora 2 (fee 0 %), raydium no quote (quote_timeout)"
    )


def test_a_second_attempt_says_so() -> None:
    assert facts(a_step("routing", '{"attempt": 2}')) == "attempt 2"


@pytest.mark.parametrize("data", ["{}", '{"quotes": 1, "dex": 2}', '{"dex": "raydium", "quotes": [{}]}'])
def test_data_of_another_version_leave_the_status_alone(data: str) -> None:
    assert watch_line(a_step("building", data), None).plain.split() == ["3", "building"]


def test_a_watched_step_shows_the_time_since_the_one_before() -> None:
    first, second = a_step("pending"), a_step("routing", sequence=4, at="2026-11-20T06:12:02.400Z")
    assert watch_line(first, None).plain.split() == ["3", "pending", "accepted"]
    assert watch_line(second, first).plain.split()[:4] == ["4", "routing", "+1.28", "s"]


def test_a_step_of_the_engine_shows_local_time_order_and_status() -> None:
    step = a_step("confirmed")
    time, short, status, *_ = feed_line(step).plain.split()
    assert time == f"{step.at.astimezone():%H:%M:%S}.123"
    assert short == short_id(step.order_id) == step.order_id[-8:]
    assert status == "confirmed"


def test_a_crowd_of_steps_is_counted() -> None:
    order_id, other = new_order_id(), new_order_id()
    events = [
        OrderEvent(order_id, 1, Status.PENDING, AT, msgspec.Raw(b"{}")),
        OrderEvent(order_id, 2, Status.FAILED, AT, msgspec.Raw(b"{}")),
        OrderEvent(other, 1, Status.PENDING, AT, msgspec.Raw(b"{}")),
    ]
    assert crowd_line(events).plain.endswith("2 orders moved: 2 pending, 1 failed")


def test_control_characters_never_reach_the_terminal() -> None:
    data = msgspec.json.encode({"code": "x", "message": "\x1b[2Jgone\r\n\x07", "fundsMoved": "no"}).decode()
    shown = watch_line(a_step("failed", data), None).plain
    assert shown.isprintable()
    assert "gone" in shown


def test_a_message_of_the_stream_is_a_step_even_with_an_unknown_status() -> None:
    message: dict[str, Any] = {
        "type": "status",
        "orderId": "0192f0c1-0000-7000-8000-000000000001",
        "sequence": 2,
        "status": "frozen",
        "timestamp": AT,
        "data": {"why": "winter"},
    }
    step = step_of_message(msgspec.json.encode(message))
    assert (step.sequence, step.status, step.is_final) == (2, "frozen", False)
    assert watch_line(step, None).plain.split() == ["2", "frozen"]


def test_what_is_no_step_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        step_of_message('{"type": "error", "message": "no such order"}')

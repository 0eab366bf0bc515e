"""Load from the terminal: the pace, what is counted, and what is said of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from time import perf_counter

import msgspec
import pytest
from rich.text import Text

from app.terminal import placing as placing_module
from app.terminal.connection import http_client
from app.terminal.outcomes import Outcomes
from app.terminal.pacing import arrivals, percentile
from app.terminal.place import NotPlaced
from app.terminal.placing import NO_ANSWER, Placing
from app.terminal.report import report
from tests.terminal.test_board import a_step

from .support import Answer, Request, http_server

BODY = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": "1", "wallet": "load-1"}


def created(number: int) -> Answer:
    return 201, f'{{"orderId": "order-{number}", "status": "pending", "idempotent": false, "ws": "/"}}'


async def placed(
    answer: Callable[[Request], Answer], *, rate: float = 200, orders: int = 20, connections: int = 8
) -> tuple[Placing, Outcomes, list[Request]]:
    outcomes = Outcomes()
    async with http_server(answer) as (url, requests), http_client(url, connections=connections) as client:
        placing = Placing(client, BODY, outcomes.answered, connections)
        await placing.run(rate, orders / rate)
    return placing, outcomes, list(requests)


def told(placing: Placing, outcomes: Outcomes) -> str:
    return "\n".join(line.plain for line in report(placing, outcomes, 50, 30) if isinstance(line, Text))


async def test_orders_are_due_at_even_times_and_never_before() -> None:
    due, early = [], []
    async for time in arrivals(500, 0.1):
        due.append(time)
        early.append(time > perf_counter())
    assert len(due) == 50
    assert not any(early)
    assert [b - a for a, b in pairwise(due)] == pytest.approx([0.002] * 49)


async def test_an_arrival_that_was_held_up_keeps_its_time() -> None:
    due = []
    async for time in arrivals(100, 0.1):
        due.append(time)
        if len(due) == 2:
            await asyncio.sleep(0.1)
    assert due[-1] - due[0] == pytest.approx(0.09)


def test_percentiles_are_values_that_were_measured() -> None:
    assert [percentile(range(100), share) for share in (0, 0.5, 0.99)] == [0, 50, 99]
    assert percentile([7], 0.99) == 7


async def test_each_order_is_posted_once_with_a_key_of_its_own() -> None:
    numbers = iter(range(1000))
    placing, outcomes, requests = await placed(lambda _: created(next(numbers)))
    assert (placing.sent, placing.codes, len(placing.latencies), outcomes.accepted) == (20, {201: 20}, 20, 20)
    assert len({request.headers["idempotency-key"] for request in requests}) == 20
    assert {request.line for request in requests} == {"POST /api/orders/execute HTTP/1.1"}
    assert all(msgspec.json.decode(request.body) == BODY for request in requests)


async def test_refusals_after_an_acceptance_are_counted_and_named() -> None:
    answers: list[Answer] = [
        created(1),
        (429, '{"title": "Too many orders", "detail": "Try again in 7 seconds."}'),
        (503, '{"title": "Not available", "detail": "The database is away."}'),
        (404, "<html>"),
        None,
    ]
    placing, outcomes, _ = await placed(lambda _: answers.pop(0), orders=5, connections=1)
    assert placing.codes == {201: 1, 404: 1, 429: 1, 503: 1, NO_ANSWER: 1}
    lines = told(placing, outcomes)
    assert "1 × no answer, 1 × 201, 1 × 404, 1 × 429, 1 × 503" in lines
    assert "404: It answered 404, and not as an order engine." in lines
    assert "429: Too many orders: Try again in 7 seconds." in lines
    assert "API_MAX_ORDERS_PER_MIN" in lines


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((400, '{"title": "Wrong", "errors": [{"pointer": "#/amount", "detail": "no"}]}'), "Wrong\n  amount: no"),
        ((201, "<html>"), "It answered 201, and not as an order engine."),
        ((404, "not here"), "It answered 404, and not as an order engine."),
    ],
)  # fmt: skip
async def test_an_order_that_will_never_be_taken_ends_the_load(answer: Answer, reason: str) -> None:
    with pytest.raises(NotPlaced) as error:
        await placed(lambda _: answer, orders=100_000, connections=1)
    assert str(error.value) == reason


async def test_a_rate_that_cannot_be_kept_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing_module, "LATE", 0.0)
    monkeypatch.setattr(placing_module, "OVERTIME", 0.0)
    # More than any client can: most orders wait for the one connection, and what is left at the end is not sent.
    placing, outcomes, _ = await placed(lambda _: created(1), rate=100_000, orders=5_000, connections=1)
    assert placing.sent + placing.unsent == 5_000
    assert placing.unsent
    assert placing.was_full
    assert f"The rate was not kept: {placing.late:,} were sent " in told(placing, outcomes)
    assert f" {placing.unsent:,} were never sent." in told(placing, outcomes)
    assert "--concurrency" in told(placing, outcomes)


def test_a_latency_is_from_when_an_order_was_due_to_its_confirmation() -> None:
    outcomes = Outcomes()
    outcomes.heard(a_step("early", 1, "pending"))
    outcomes.heard(a_step("early", 5, "confirmed"))
    before = perf_counter()
    outcomes.answered("early", before - 1)  # after its end
    outcomes.answered("late", before - 2)
    assert (outcomes.accepted, outcomes.under_way, outcomes.open()) == (2, 1, ["late"])
    outcomes.heard(a_step("late", 5, "confirmed"))
    assert outcomes.ended == {"confirmed": 2}
    assert outcomes.under_way == outcomes.unanswered == 0
    early, late = outcomes.latencies
    assert early <= 1
    assert late >= 2


def test_a_failure_is_counted_by_its_code_and_has_no_latency() -> None:
    outcomes = Outcomes()
    outcomes.answered("a", 0)
    outcomes.heard(a_step("a", 2, "failed", code="slippage_exceeded"))
    assert (outcomes.ended, outcomes.failures) == ({"failed": 1}, {"slippage_exceeded": 1})
    assert outcomes.latencies == []


async def test_an_order_whose_answer_was_lost_counts_and_is_waited_for() -> None:
    outcomes = Outcomes()
    outcomes.heard(a_step("lost", 1, "pending"))
    waiting = asyncio.create_task(outcomes.until_all_ended())
    await asyncio.sleep(0)
    assert (outcomes.accepted, outcomes.unanswered, waiting.done()) == (1, 1, False)
    outcomes.heard(a_step("lost", 2, "failed", code="x"))
    await asyncio.wait_for(waiting, 20)
    assert outcomes.under_way == 0


async def test_an_order_that_was_looked_up_counts_without_a_latency() -> None:
    outcomes = Outcomes()
    outcomes.answered("a", 0)
    assert await outcomes.missed(3, 70) == 70
    outcomes.found("a", "submitted", None)
    assert outcomes.under_way == 1
    outcomes.found("a", "confirmed", None)
    outcomes.heard(a_step("b", 5, "confirmed"))
    outcomes.found("b", "confirmed", None)
    assert (outcomes.ended, outcomes.latencies) == ({"confirmed": 2}, [])


async def test_the_summary_tells_what_came_of_the_orders() -> None:
    numbers = iter(range(1000))
    placing, outcomes, _ = await placed(lambda _: created(next(numbers)), orders=4)
    outcomes.heard(a_step("order-0", 5, "confirmed"))
    outcomes.heard(a_step("order-1", 5, "failed", code="slippage_exceeded"))
    outcomes.heard(a_step("lost", 1, "pending"))
    lines = told(placing, outcomes)
    assert "4 of 1,500 orders, 50 a second for 30 s" in lines
    assert "5: 1 confirmed, 1 failed, 3 not ended" in lines
    assert "1 × slippage_exceeded" in lines
    assert "1 were accepted, and their answer was lost" in lines
    assert "4 × 201" in lines
    assert "p50" in lines

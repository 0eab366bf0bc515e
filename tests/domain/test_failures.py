from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.orders.failures import LONGEST_MESSAGE, RULES, Failure, FailureCode, FundsMoved, legible, markdown
from app.orders.retries import FIRST_DELAY_MS, LONGEST_DELAY_MS, retry_delay_ms
from tests.e2e.programs import ROOT

TRANSIENT = {
    "quote_timeout",
    "venue_unavailable",
    "transaction_dropped",
    "transaction_expired",
    "execution_failed",
}
FINAL = {"slippage_exceeded", "unknown_token", "unfillable_amount", "poisoned"}


def test_every_code_has_a_rule_and_every_rule_a_code() -> None:
    assert set(RULES) == set(FailureCode)
    assert {code.value for code in FailureCode} == TRANSIENT | FINAL


@pytest.mark.parametrize("code", FailureCode)
def test_a_failure_is_tried_again_exactly_when_its_code_is_transient(code: FailureCode) -> None:
    assert Failure(code, "why").retryable == (code in TRANSIENT)


@pytest.mark.parametrize("code", FailureCode)
def test_a_code_is_stable_snake_case_and_its_meaning_a_sentence(code: FailureCode) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", code)
    assert re.fullmatch(r"[A-Z].+\.", RULES[code].meaning)


@pytest.mark.parametrize("code", FailureCode)
def test_every_failure_says_what_to_do_next_and_whether_funds_can_have_moved(code: FailureCode) -> None:
    rule = RULES[code]
    assert re.fullmatch(r"[A-Z][^|\n]+\.", rule.next_action)
    assert Failure(code, "why").funds_moved in rule.funds_moved
    assert FundsMoved.YES not in rule.funds_moved


def test_the_documentation_lists_every_failure_as_the_rules_have_it() -> None:
    page = (ROOT / "docs" / "failures.md").read_text(encoding="utf-8")
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if "| `" in line]

    assert page == markdown() + "\n"
    assert [row[0] for row in cells] == [f"`{code}`" for code in FailureCode]
    for code, row in zip(FailureCode, cells, strict=True):
        rule = RULES[code]
        funds = " or ".join(f"`{moved}`" for moved in rule.funds_moved)
        assert row[1:] == ["yes" if rule.retryable else "no", funds, rule.meaning, rule.next_action]


def test_no_funds_moved_unless_said_otherwise() -> None:
    assert Failure(FailureCode.EXECUTION_FAILED, "why").funds_moved is FundsMoved.NO
    assert {funds.value for funds in FundsMoved} == {"no", "yes", "unknown"}


@given(st.integers(1, 1000), st.floats(0, 1))
def test_a_delay_lies_between_half_and_all_of_the_backoff(attempt: int, jitter: float) -> None:
    full = min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (attempt - 1))

    assert full // 2 <= retry_delay_ms(attempt, jitter) <= full


def test_delays_double_until_the_longest() -> None:
    assert [retry_delay_ms(attempt, 1.0) for attempt in range(1, 8)] == [
        500, 1000, 2000, 4000, 8000, 10_000, 10_000,
    ]  # fmt: skip


@given(st.integers(1, 20))
def test_jitter_spreads_orders_that_failed_together(attempt: int) -> None:
    assert retry_delay_ms(attempt, 0.0) < retry_delay_ms(attempt, 0.5) < retry_delay_ms(attempt, 1.0)


@given(st.text(max_size=20) | st.text(min_size=LONGEST_MESSAGE - 5, max_size=LONGEST_MESSAGE + 5))
def test_a_message_from_outside_can_be_stored_whatever_it_is(message: str) -> None:
    said = legible(message)

    assert said.isprintable()
    assert len(said) == min(len(message), LONGEST_MESSAGE)
    said.encode()
    if message.isprintable():
        assert said == message[:LONGEST_MESSAGE]

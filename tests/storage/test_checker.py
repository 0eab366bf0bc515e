"""The checker finds what it is there to find: one broken ledger per rule, made by hand past every guard."""

from __future__ import annotations

from typing import LiteralString
from uuid import UUID

import pytest

from app.orders.lifecycle import Status
from tests.support.books import Books
from tests.support.checker import RULES, broken_rules

BREAKAGES: dict[str, tuple[Status, LiteralString]] = {
    "unfinished": (Status.SUBMITTED, "SELECT %s::uuid"),
    "sequence_with_a_gap": (
        Status.FAILED,
        "UPDATE order_events SET sequence = sequence + 1 WHERE order_id = %s AND sequence = 3",
    ),
    "event_off_the_lifecycle": (
        Status.FAILED,
        "UPDATE order_events SET previous = 'pending' WHERE order_id = %s AND sequence = 3",
    ),
    "event_after_the_end": (
        Status.FAILED,
        "INSERT INTO order_events (order_id, sequence, previous, status) VALUES (%s, 4, 'failed', 'failed')",
    ),
    "order_unlike_its_events": (Status.FAILED, "UPDATE orders SET sequence = 4 WHERE id = %s"),
    "two_signatures_alive": (
        Status.SUBMITTED,
        (
            "INSERT INTO order_attempts (order_id, number, venue, signature, raw, min_out, last_valid_height)"
            " SELECT order_id, 2, venue, signature || '2', raw, min_out, 1 FROM order_attempts WHERE order_id = %s"
        ),
    ),
    "alive_out_of_place": (
        Status.CONFIRMED,
        "UPDATE order_attempts SET outcome = NULL WHERE order_id = %s",
    ),
    "landed_attempts_unlike_status": (
        Status.CONFIRMED,
        "UPDATE order_attempts SET outcome = 'expired' WHERE order_id = %s",
    ),
    "held_at_rest": (Status.CONFIRMED, "UPDATE orders SET claimed_by = 1 WHERE id = %s"),
}


@pytest.mark.parametrize("rule", BREAKAGES)
async def test_a_ledger_that_breaks_a_rule_is_found_out(books: Books, rule: str) -> None:
    status, breakage = BREAKAGES[rule]
    order_id = (await books.bring_to(status)).order.id
    landed = [order_id] if status is Status.CONFIRMED else []
    assert await _rules_broken_by(books, order_id, landed) - {"unfinished"} == set()

    async with books.connection.transaction(force_rollback=True):
        await books.ask("SET LOCAL session_replication_role = replica")  # no triggers, no references
        if rule == "two_signatures_alive":
            await books.ask("DROP INDEX order_attempts_one_alive")
        await books.ask(breakage, order_id)
        assert rule in await _rules_broken_by(books, order_id, landed)


async def _rules_broken_by(books: Books, order_id: UUID, landed: list[UUID]) -> set[str]:
    found = await broken_rules(books.connection, landed)
    return {rule for rule, orders in found.items() if order_id in orders}


async def test_what_landed_is_held_against_what_is_said(books: Books) -> None:
    confirmed = (await books.bring_to(Status.CONFIRMED)).order.id
    failed = (await books.bring_to(Status.FAILED)).order.id

    assert await _rules_broken_by(books, confirmed, [confirmed]) == set()
    assert await _rules_broken_by(books, confirmed, [confirmed, confirmed]) == {"filled_twice"}
    assert await _rules_broken_by(books, confirmed, []) == {"confirmed_without_landing"}
    assert await _rules_broken_by(books, failed, [failed]) == {"landed_without_confirming"}


def test_there_is_a_breakage_for_every_rule() -> None:
    by_landing = {"filled_twice", "confirmed_without_landing", "landed_without_confirming"}

    assert set(BREAKAGES) | by_landing == set(RULES)

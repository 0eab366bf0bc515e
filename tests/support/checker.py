"""The checker: what must be true of a ledger whatever happened to its workers, asked in SQL by all tests alike."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final, LiteralString, cast
from uuid import UUID

import psycopg

_RULE: Final = re.compile(r"^-- (?P<name>\w+): .+\n(?P<sql>(?:(?!-- ).*\n?)+)", re.MULTILINE)
_TEXT: Final = Path(__file__).with_suffix(".sql").read_text("utf-8")
RULES: Final = {m["name"]: cast("LiteralString", m["sql"].strip()) for m in _RULE.finditer(_TEXT)}

LANDED_ON_THE_SIMULATED_CHAIN: Final = (
    "SELECT order_id FROM simulated_chain.transactions WHERE outcome = 'confirmed'"
)

Violations = dict[str, Collection[UUID]]


async def violations(
    url: str,
    *,
    landed: Sequence[UUID] | None = None,
    of: Collection[UUID] | None = None,
    unfinished_is_fine: bool = False,
) -> Violations:
    """The rules that the ledger breaks, and with which orders; empty when all is well.

    `landed` has the order of every transaction that exchanged tokens; without it the simulated chain is asked.
    `of` leaves out other orders, in a database that tests share.
    """
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        if landed is None:
            landed = await _orders(connection, LANDED_ON_THE_SIMULATED_CHAIN, {})
        found = await broken_rules(connection, landed)
    if unfinished_is_fine:
        found.pop("unfinished", None)
    if of is None:
        return found
    return {rule: ours for rule, orders in found.items() if (ours := [id_ for id_ in orders if id_ in of])}


async def broken_rules(connection: psycopg.AsyncConnection[Any], landed: Sequence[UUID]) -> Violations:
    """The same, as the connection sees it."""
    found = {rule: await _orders(connection, sql, {"landed": list(landed)}) for rule, sql in RULES.items()}
    return {rule: orders for rule, orders in found.items() if orders}


async def _orders(
    connection: psycopg.AsyncConnection[Any], query: LiteralString, parameters: dict[str, Any]
) -> list[UUID]:
    cursor = await connection.execute(query, parameters)
    return [row[0] for row in await cursor.fetchall()]

"""One seed and one list of orders: the same tables to the last byte, with one worker or with eight."""

from __future__ import annotations

import asyncio
import itertools
import json
from contextlib import AsyncExitStack
from typing import Any, Final
from uuid import UUID

import pytest

from app.execution import intake
from app.orders.model import OrderRequest, Swap
from app.orders.tokens import TOKENS
from app.venues.simulated.market import Market
from tests.jobs.workers import serving, settings
from tests.support.books import Books
from tests.support.checker import violations
from tests.support.servers import Servers, fresh_database

from .builders import A_SLOT, rows, stop_clock, until

ROUNDS: Final = 4
ORDERS: Final = 40  # in each round
QUIET: Final = """
    SELECT NOT EXISTS (
        SELECT FROM orders o
         WHERE o.is_open AND NOT (o.status = 'submitted' AND EXISTS (
                   SELECT FROM simulated_chain.transactions t
                    WHERE t.order_id = o.id AND t.attempt = o.attempt AND t.outcome IS NULL
                      AND t.lands_at > simulated_chain.to_time(simulated_chain.now_ms()))))
"""
# All but the clocks of people, and how often somebody had to try.
TABLES: Final = {
    "markets": "SELECT seed, slot, opening::text FROM simulated_chain.markets",
    "pools": """SELECT seed, id, venue, kind, mint_a, mint_b, state::text, balance_a, balance_b, slot
                  FROM simulated_chain.pools ORDER BY id""",
    "transactions": """SELECT signature, order_id, attempt, venue, mint_in, mint_out, amount_in, min_out, route::text,
                              last_valid_height, rank, lands_at, outcome, amount_out, failure_code
                         FROM simulated_chain.transactions ORDER BY signature""",
    "orders": """SELECT id, status, sequence, attempt, venue, fee_bps, quoted_out, min_out, amount_out, failure_code
                   FROM orders ORDER BY id""",
}
EVENTS: Final = "SELECT order_id, sequence, status::text, data::text FROM order_events ORDER BY 1, 2"


def requests() -> list[OrderRequest]:
    """Of every pair, from one dollar to a million, with every kind of tolerance."""
    market = Market(0)
    pairs = list(itertools.permutations(TOKENS, 2))
    return [
        OrderRequest(
            Swap(
                *pairs[n * 7 % len(pairs)],
                market.units_for(10 ** (n % 7), pairs[n * 7 % len(pairs)][0], A_SLOT),
            ),
            slippage_bps=(1, 20, 100, 500)[n % 4],
        )
        for n in range(ROUNDS * ORDERS)
    ]


async def trade(url: str, workers: int) -> dict[str, Any]:
    """Everything that is left when all orders have ended, a round placed in every second slot."""
    await stop_clock(url, A_SLOT)
    placed = iter(requests())
    trading = {"mock_dex_slot_ms": 400, "mock_dex_execution_delay_ms": 900, "mock_dex_failure_rate": 0.2}
    async with AsyncExitStack() as stack:
        books = await stack.enter_async_context(Books(url))
        for _ in range(workers):
            await stack.enter_async_context(serving(settings(books, max_attempts=3, **trading)))
        for slot in range(A_SLOT, A_SLOT + 40):
            await stop_clock(url, slot)
            if slot % 2 == A_SLOT % 2:
                await asyncio.gather(*map(books.accept, itertools.islice(placed, ORDERS)))
            await until(lambda: is_true(url, QUIET), 60)
            if slot > A_SLOT + 2 * ROUNDS and await is_true(
                url, "SELECT NOT EXISTS (SELECT FROM orders WHERE is_open)"
            ):
                break
    assert await violations(url) == {}
    return {name: await rows(url, query) for name, query in TABLES.items()} | {"events": await events(url)}


async def is_true(url: str, query: str) -> bool:
    [(answer,)] = await rows(url, query)
    return bool(answer)


async def events(url: str) -> list[Any]:
    found = []
    for order_id, sequence, status, data in await rows(url, EVENTS):
        facts = json.loads(data or "null") or {}
        facts.pop("nextAttemptAt", None)
        found.append((order_id, sequence, status, facts))
    return found


@pytest.mark.timeout(400)
async def test_one_worker_and_eight_leave_the_same_tables(
    server_urls: Servers, migrated_template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = []
    for workers in (1, 8):
        numbers = itertools.count(1)
        monkeypatch.setattr(intake, "new_order_id", lambda numbers=numbers: UUID(int=next(numbers)))
        with fresh_database(server_urls.database_url, template=migrated_template) as url:
            left.append(await trade(url, workers))
    alone, together = left
    for name in alone:
        assert together[name] == alone[name], name
    outcomes = {row[12] for row in alone["transactions"]}
    assert outcomes == {"confirmed", "failed"}
    assert {row[1] for row in alone["orders"]} == {"confirmed", "failed"}
    assert max(row[2] for row in alone["transactions"]) > 1  # some were tried again
    assert len(alone["orders"]) == ROUNDS * ORDERS

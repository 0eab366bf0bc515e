"""What the harness asks of a database, on one: the target file's queries, and a seeded ledger."""

from __future__ import annotations

import tomllib
from typing import Any, Final

import psycopg
import pytest

from app.orders.lifecycle import Status
from bench.plans import plans
from bench.seeding import seed
from bench.server import TARGET
from tests.support.books import Books
from tests.support.checker import violations

ORDERS: Final = 2000


@pytest.fixture
def target() -> dict[str, Any]:
    return tomllib.loads(TARGET.read_text(encoding="utf-8"))


async def test_the_target_files_queries_fit_the_schema(database_url: str, target: dict[str, Any]) -> None:
    async with Books(database_url) as books:
        confirmed = (await books.bring_to(Status.CONFIRMED)).order.id
        pending = await books.accept()
    with psycopg.connect(database_url, autocommit=True) as connection:
        assert connection.execute(target["sql_terminal"]).fetchone() == (1,)
        orders: dict[str, str] = dict(connection.execute(target["sql_orders"]).fetchall())
        assert orders == {str(confirmed): "confirmed", str(pending): "pending"}
        assert dict(connection.execute(target["sql_executions"]).fetchall()) == {str(confirmed): 1}

        connection.execute(target["sql_reset"])
        for table in (
            "orders",
            "order_events",
            "order_attempts",
            "simulated_chain.transactions",
            "procrastinate_jobs",
        ):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


async def test_a_seeded_ledger_keeps_every_rule(database_url: str) -> None:
    seed(database_url, ORDERS)

    assert await violations(database_url) == {}
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM orders WHERE NOT is_open), (SELECT count(*) FROM order_events),"
            " (SELECT count(*) FROM order_attempts), (SELECT count(*) FROM simulated_chain.transactions),"
            " (SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'),"
            " (SELECT count(*) FROM order_events e LEFT JOIN orders o ON o.id = e.order_id WHERE o.id IS NULL)"
        ).fetchone()
    assert row == (ORDERS, 5 * ORDERS, ORDERS, ORDERS, ORDERS, 0)


def test_every_hot_query_is_explained_and_changes_nothing(database_url: str) -> None:
    seed(database_url, ORDERS)
    report = plans(database_url)

    for name in (
        "accept_orders",
        "claim_orders",
        "move_orders",
        "events_after",
        "orders_without_job",
        "fetch_job",
    ):
        assert name in report
    assert report.count("Execution Time") >= 20
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (ORDERS,)

"""A ledger with years behind it: finished orders, their events, attempts and transactions, and finished jobs."""

from __future__ import annotations

from typing import Final

import psycopg

from app.storage.queries import load_queries

_SEEDING: Final = load_queries("bench")
MAINTAINED: Final = ("orders", "order_events", "order_attempts", "simulated_chain.transactions",
                     "procrastinate_jobs", "procrastinate_events")  # fmt: skip


def seed(url: str, orders: int) -> None:
    """Adds so many finished orders, five times as many events, and a finished job for each."""
    with psycopg.connect(url, autocommit=True) as connection:
        # The rows keep every reference; looking each up would take longer than writing them.
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET synchronous_commit = off")
        connection.execute("SET statement_timeout = 0")
        for statement in _SEEDING.values():
            client = psycopg.ClientCursor(connection)  # the table's definition takes no parameters from afar
            client.execute(statement, {"orders": orders})
        for table in MAINTAINED:
            connection.execute(f"VACUUM (ANALYZE) {table}")
        connection.execute("CHECKPOINT")

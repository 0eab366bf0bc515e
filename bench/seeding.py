"""A ledger with years behind it: finished orders, their events, attempts and transactions, and finished jobs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg

from app.storage.queries import load_queries

_SEEDING: Final = load_queries("bench")
MAINTAINED: Final = ("orders", "order_events", "order_attempts", "simulated_chain.transactions",
                     "procrastinate_jobs", "procrastinate_events")  # fmt: skip
# Of its pages, in per cent, what rows take up that the engine has written step by step: updates want room. Pages that
# were emptier would take new rows in, and each of those would touch a page of its own.
FILLED: Final = {"orders": 55, "order_attempts": 52, "simulated_chain.transactions": 48}


def seed(url: str, orders: int) -> None:
    """Adds so many finished orders, five times as many events, and a finished job for each."""
    with psycopg.connect(url, autocommit=True) as connection:
        # The rows keep every reference; looking each up would take longer than writing them.
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET synchronous_commit = off")
        connection.execute("SET statement_timeout = 0")
        client = psycopg.ClientCursor(connection)  # the definition of a table takes no parameters from afar
        with _filled(client):
            for statement in _SEEDING.values():
                client.execute(statement, {"orders": orders})
        for table in MAINTAINED:
            connection.execute(f"VACUUM (ANALYZE) {table}")
        connection.execute("CHECKPOINT")


@contextmanager
def _filled(cursor: psycopg.ClientCursor[Any]) -> Iterator[None]:
    """New rows fill pages as far as old ones do; afterwards the tables are as the migrations made them."""
    cursor.execute(
        "SELECT oid::regclass::text, reloptions FROM pg_class WHERE oid = ANY (%s::regclass[])",
        (list(FILLED),),
    )
    before = cursor.fetchall()
    for table, percent in FILLED.items():
        cursor.execute(f"ALTER TABLE {table} SET (fillfactor = {percent})")
    yield
    for table, options in before:
        own = next((option for option in options or () if option.startswith("fillfactor=")), None)
        cursor.execute(f"ALTER TABLE {table} " + (f"SET ({own})" if own else "RESET (fillfactor)"))

"""A look into the database behind the engine's back."""

from __future__ import annotations

from collections import Counter
from typing import Any, LiteralString

import psycopg

from tests.support.checker import Violations, violations


class Books:
    def __init__(self, database_url: str) -> None:
        self._url = database_url

    def statuses(self) -> Counter[str]:
        """How many orders stand where."""
        return Counter(dict(self.rows("SELECT status::text, count(*) FROM orders GROUP BY 1")))

    def number_held(self) -> int:
        """How many orders are in a worker's hands, as far as the ledger knows."""
        return len(self.rows("SELECT id FROM orders WHERE is_open AND claimed_by IS NOT NULL"))

    def all_ended(self) -> bool:
        return not self.rows("SELECT id FROM orders WHERE is_open AND queued_at IS NOT NULL")

    async def violations(self) -> Violations:
        """The rules that the ledger breaks; all orders must have ended."""
        return await violations(self._url)

    def rows(self, query: LiteralString, *arguments: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._url, autocommit=True) as connection:
            return connection.execute(query, arguments or None).fetchall()

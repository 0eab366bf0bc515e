"""The ledger as a measurement sees it: how much is unfinished, whether all is stored, and the checker's word."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any, Final, LiteralString, Self

import psycopg

from tests.support.checker import violations

STALL_SECONDS: Final = 30.0


def ask(url: str, query: LiteralString) -> tuple[Any, ...]:
    """The first row."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row


def open_orders(url: str) -> int:
    """Queued and not finished."""
    return int(ask(url, "SELECT count(*) FROM orders WHERE is_open AND queued_at IS NOT NULL")[0])


def until_settled(url: str) -> None:
    """Waits until every queued order is finished, for as long as they become fewer."""
    least, deadline = sys.maxsize, 0.0
    while left := open_orders(url):
        if left < least:
            least, deadline = left, time.monotonic() + STALL_SECONDS
        if time.monotonic() > deadline:
            raise SystemExit(f"{left} orders do not come to an end: none in {STALL_SECONDS:.0f} s")
        time.sleep(0.05)


def check(url: str, *, worked: bool) -> None:
    """Ends the run when the ledger breaks a rule. `worked`: a worker ran, so that all must be finished."""
    broken = asyncio.run(violations(url, unfinished_is_fine=not worked))
    if broken:
        raise SystemExit(f"the ledger is broken: { ({rule: list(ids)[:3] for rule, ids in broken.items()}) }")


def must_hold(url: str, accepted: int) -> None:
    """Ends the run unless exactly these many orders are stored."""
    stored = ask(url, "SELECT count(*) FROM orders")[0]
    if stored != accepted:
        raise SystemExit(f"{accepted} orders were accepted, and {stored} are stored")


def must_have_all_events(url: str) -> None:
    """Ends the run unless each order is confirmed, with the five events of the shortest way."""
    orders, confirmed = ask(url, "SELECT count(*), count(*) FILTER (WHERE status = 'confirmed') FROM orders")
    events = ask(url, "SELECT count(*) FROM order_events")[0]
    if confirmed != orders or events != 5 * orders:
        raise SystemExit(f"of {orders} orders {confirmed} are confirmed, with {events} events")


class Backlog:
    """How many orders are unfinished, looked at 20 times a second while a load runs."""

    EVERY = 0.05

    def __init__(self, url: str) -> None:
        self._url = url
        self.open = 0

    async def __aenter__(self) -> Self:
        self._connection = await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, prepare_threshold=1
        )
        self._task = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})
        await self._connection.close()

    async def _look(self) -> None:
        while True:
            cursor = await self._connection.execute(
                "SELECT count(*) FROM orders WHERE is_open AND queued_at IS NOT NULL"
            )
            row = await cursor.fetchone()
            self.open = int(row[0]) if row else 0
            await asyncio.sleep(self.EVERY)

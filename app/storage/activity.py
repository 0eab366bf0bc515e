"""What the ledger says of the last minutes: steps per second, answers of venues, orders that wait, fills.

No index has the time first: the log does, nearly. An event's time is taken before its position is drawn, by less than a
statement may take, so that an event before whose position all times are old enough is found by a few reads.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final, NamedTuple
from uuid import UUID

from app.orders.failures import FailureCode
from app.orders.lifecycle import Status
from app.orders.model import first_id_at
from app.orders.tokens import Token
from app.storage.database import Connection, Database
from app.storage.queries import QUERIES

LONGEST_STATEMENT: Final = dt.timedelta(seconds=15)  # statement_timeout of every connection
FIRST_STEP: Final = 1024  # positions to go back by, doubled each time
LONGEST_WAY: Final = dt.timedelta(hours=1)  # of an order that still counts as a fill, from its id to the end
LOOKED_AT: Final = 50_000  # orders
OUTAGES: Final = (FailureCode.QUOTE_TIMEOUT, FailureCode.VENUE_UNAVAILABLE)


class Steps(NamedTuple):
    """How many orders came to a status within a second; `latencies` in ms from acceptance, of confirmed ones."""

    second: dt.datetime
    status: Status
    orders: int
    latencies: list[int]


class Answers(NamedTuple):
    """How often a venue gave a quote within a second, and how often none; no venue: so did all of them."""

    second: dt.datetime
    venue: str | None
    quotes: int
    refusals: int


class OpenOrders(NamedTuple):
    """Orders that are queued, the age of the oldest of them in seconds, and orders under way."""

    queued: int
    oldest_seconds: float | None
    under_way: int


class Activity(NamedTuple):
    """What was added to the log from one position to another, and what is open, of one snapshot."""

    until: int
    now: dt.datetime
    steps: list[Steps]
    answers: list[Answers]
    open: OpenOrders


class Fill(NamedTuple):
    """A confirmed order; amounts in base units."""

    order_id: UUID
    at: dt.datetime
    venue: str | None
    amount_in: int
    amount_out: int


class ActivityReader:
    """Every call raises StorageUnavailable when the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def since(self, account: str, after: int | None, span: dt.timedelta) -> Activity:
        """What an account's orders did after a position; without one, at least all that they did in this span."""
        async with self._database.connection() as connection, connection.transaction():
            await connection.execute(QUERIES["read_activity"], prepare=False)  # four statements
            until, now = await _one(connection, "log_now")
            if after is None:
                after = await _position_before(connection, until, now - span - LONGEST_STATEMENT)
            part = {"account": account, "after": after, "until": until, "outages": list(OUTAGES)}
            steps = await _all(connection, "steps_by_second", part)
            answers = await _all(connection, "answers_by_second", part)
            waiting = await _one(connection, "open_orders", (account,))
        return Activity(
            until,
            now,
            [
                Steps(second, Status(status), count, latencies or [])
                for second, status, count, latencies in steps
            ],
            [Answers(*row) for row in answers],
            OpenOrders(*waiting),
        )

    async def fills(
        self, account: str, token_in: Token, token_out: Token, span: dt.timedelta, limit: int
    ) -> list[Fill]:
        """The newest confirmed orders of a pair within the span, oldest first; of the newest orders alone."""
        async with self._database.connection() as connection:
            _, now = await _one(connection, "log_now")
            asked = {
                "account": account, "token_in": token_in.symbol, "token_out": token_out.symbol, "limit": limit,
                "since": now - span, "first": first_id_at(now - span - LONGEST_WAY), "looked_at": LOOKED_AT,
            }  # fmt: skip
            rows = await _all(connection, "fills", asked)
        return [
            Fill(id_, at, venue, int(amount_in), int(amount_out))
            for id_, at, venue, amount_in, amount_out in reversed(rows)
        ]


async def _position_before(connection: Connection, head: int, moment: dt.datetime) -> int:
    """A position up to which every event is older than the moment; not much before the last such one."""
    step = FIRST_STEP
    while step < head:
        rows = await _all(connection, "log_time", (head - step,))
        if not rows or rows[0][0] < moment:  # what is not there any more was older
            return head - step
        step *= 2
    return 0


async def _one(connection: Connection, query: str, parameters: Any = None) -> tuple[Any, ...]:
    row = await (await connection.execute(QUERIES[query], parameters)).fetchone()
    assert row is not None
    return row


async def _all(connection: Connection, query: str, parameters: Any) -> list[tuple[Any, ...]]:
    return await (await connection.execute(QUERIES[query], parameters)).fetchall()

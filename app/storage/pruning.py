"""Retention: deletes orders that ended long ago, a few at a time, so that nobody else waits for it."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from collections.abc import Callable
from typing import Final
from uuid import UUID

from app.orders.model import first_id_at
from app.storage.database import Connection, connect, unavailable
from app.storage.queries import QUERIES

BATCH: Final = 100  # orders in one transaction
SHARE: Final = 0.06  # of the time that may be spent deleting; the rest is pause
LEAST_PAUSE: Final = 0.05  # seconds
SHORTEST: Final = dt.timedelta(days=1)  # Redis remembers an idempotency key for as long
LONGEST: Final = dt.timedelta(days=36_500)

_AGE: Final = re.compile(r"(?P<number>[0-9]{1,6})(?P<unit>[dw])")
_UNITS: Final = {"d": dt.timedelta(days=1), "w": dt.timedelta(weeks=1)}
_BEFORE_ALL: Final = UUID(int=0)


def parse_age(text: str) -> dt.timedelta:
    """The duration that `90d` or `12w` names. Raises ValueError that says what is wrong."""
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a duration; say a number of days or weeks, as in 90d or 12w")
    age = int(match["number"]) * _UNITS[match["unit"]]
    if not SHORTEST <= age <= LONGEST:
        raise ValueError(f"{text!r} is out of range; the least is {SHORTEST.days}d, the most {LONGEST.days}d")
    return age


async def prune(
    conninfo: str, older_than: dt.timedelta, deleted: Callable[[int], None], *, batch: int = BATCH
) -> None:
    """Deletes the orders that ended longer ago, the oldest first, with all that hangs on them.

    `deleted` is told of each batch, when it is committed: whenever this ends, what it was told of is gone, and the
    next run goes on from there. Raises StorageUnavailable.
    """
    with unavailable():
        async with await connect(conninfo) as connection:
            cutoff = await _cutoff(connection, older_than)
            after = _BEFORE_ALL
            while True:
                began = asyncio.get_running_loop().time()
                orders = await _prune_batch(connection, after, cutoff, batch)
                if not orders:
                    return
                after = orders[-1]
                deleted(len(orders))
                took = asyncio.get_running_loop().time() - began
                await asyncio.sleep(max(LEAST_PAUSE, took * (1 - SHARE) / SHARE))


async def _cutoff(connection: Connection, older_than: dt.timedelta) -> dt.datetime:
    cursor = await connection.execute(QUERIES["prune_cutoff"], (older_than,))
    row = await cursor.fetchone()
    assert row is not None
    cutoff: dt.datetime = row[0]
    return cutoff


async def _prune_batch(connection: Connection, after: UUID, cutoff: dt.datetime, batch: int) -> list[UUID]:
    """One transaction; the orders that it deleted, in the order of their ids."""
    # An order that ended before the cutoff was accepted before it.
    bounds = {"after": after, "before": first_id_at(cutoff), "cutoff": cutoff, "batch": batch}
    async with connection.transaction():
        cursor = await connection.execute(QUERIES["prune_candidates"], bounds)
        orders: list[UUID] = [row[0] for row in await cursor.fetchall()]
        if orders:
            await connection.execute(QUERIES["prune_chain"], (orders,))
            await connection.execute(QUERIES["prune_orders"], (orders,))
    return orders

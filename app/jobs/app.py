"""Getting orders onto the queue: the one way, in the caller's own transaction."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from app.storage.database import Connection

ORDERS_QUEUE: Final = "orders"
MAINTENANCE_QUEUE: Final = "maintenance"
EXECUTE_ORDERS: Final = "execute_orders"

# Due at once by whatever clock: a worker's own may be wrong by hours.
AT_ONCE: Final = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


async def enqueue(connection: Connection, order_ids: Sequence[UUID], at: dt.datetime | None = None) -> None:
    """Adds one job for these orders to the caller's transaction, due at a time by the database's clock, or at once.

    By the function through which intake and retries queue orders, too, each in the statement that writes them.
    """
    await connection.execute("SELECT queue_orders(%s, %s)", (list(order_ids), at))

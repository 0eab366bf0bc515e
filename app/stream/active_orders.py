"""`active_order:{id}` in Redis: the latest snapshot of each order that moves, best effort."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import islice
from types import TracebackType
from typing import Final, Self
from uuid import UUID

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.orders.model import OrderEvent
from app.stream.supervision import Backoff, keep_running, stop

OPEN_SECONDS: Final = 3600  # how long a snapshot lives while the order is open
FINAL_SECONDS: Final = 60  # and after its end
MAX_PENDING: Final = 10_000
MAX_BATCH: Final = 500
PACE: Final = 0.1  # seconds from one flush to the next at least: an order's quick steps become one write
FLUSH_SECONDS: Final = 1.0

# Snapshots of one order may come from two processes in any order: the one with the higher sequence stays.
_PUT: Final = """
for _, put in ipairs(cmsgpack.unpack(ARGV[1])) do
  local key, sequence, seconds, snapshot = unpack(put)
  local stored = redis.call('GET', key)
  local known = stored and tonumber(string.match(stored, '"sequence":(%d+)'))
  if not known or known < sequence then
    redis.call('SET', key, snapshot, 'EX', seconds)
  end
end
"""


class ActiveOrders:
    """Remembers the newest event per order and writes the snapshots in the background; Redis may be away."""

    def __init__(self, redis: Redis) -> None:
        self._write = redis.register_script(_PUT)
        self._pending: dict[UUID, OrderEvent] = {}
        self._work = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(
            keep_running(self._step, Backoff("active_orders")), name="stream.active_orders"
        )
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await stop(self._task)
        with suppress(RedisError, OSError):  # best effort, to the end
            while self._pending:
                await self._flush()

    def put(self, event: OrderEvent) -> None:
        """Never blocks, never raises; when too many orders are pending, the one that waits longest is dropped."""
        known = self._pending.get(event.order_id)
        if known is not None and known.sequence >= event.sequence:
            return
        if known is None and len(self._pending) >= MAX_PENDING:
            del self._pending[next(iter(self._pending))]
        self._pending[event.order_id] = event
        self._work.set()

    async def _step(self) -> None:
        await self._work.wait()
        await self._flush()
        await asyncio.sleep(PACE)

    async def _flush(self) -> None:
        batch = [self._pending.pop(order_id) for order_id in tuple(islice(self._pending, MAX_BATCH))]
        if not self._pending:
            self._work.clear()
        puts = msgspec.msgpack.encode([_put(event) for event in batch])
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await self._write(args=[puts])
        except BaseException:
            for event in batch:
                self.put(event)
            raise


def snapshot(event: OrderEvent) -> bytes:
    """The snapshot as JSON; the event's data are spliced in byte for byte."""
    head = {
        "orderId": event.order_id,
        "status": event.status,
        "sequence": event.sequence,
        "updatedAt": event.at,
    }
    members = bytes(event.data).strip()[1:-1].strip()
    return msgspec.json.encode(head)[:-1] + (b"," if members else b"") + members + b"}"


def _put(event: OrderEvent) -> tuple[str, int, int, str]:
    seconds = FINAL_SECONDS if event.status.is_final else OPEN_SECONDS
    return f"active_order:{event.order_id}", event.sequence, seconds, snapshot(event).decode()

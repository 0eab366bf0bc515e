"""What became of the orders of one wallet: from the answers to their POSTs and from the log, whichever comes first."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from time import perf_counter

from app.orders.lifecycle import FINAL, Status
from app.terminal.render import Step


@dataclass(slots=True)
class _Order:
    """An order whose end or whose answer is still to come; times by perf_counter."""

    due: float | None = None  # when it should have been sent; None: its answer has not come
    status: str = ""
    ended_at: float | None = None  # None: it has not, or nobody knows when


class Outcomes:
    """A watcher of the log, who knows of each order that was accepted, even when its answer was lost."""

    def __init__(self) -> None:
        self.is_standing = asyncio.Event()
        self.accepted = 0
        self.ended: Counter[str] = Counter()  # by final status
        self.failures: Counter[str] = Counter()  # by code
        self.latencies: list[float] = []  # from when an order should have been sent to confirmed, in seconds
        self.has_missed = False  # some orders may have ended unheard
        self._moved = asyncio.Event()
        self._orders: dict[str, _Order] = {}

    @property
    def under_way(self) -> int:
        """How many were accepted and have not ended."""
        return self.accepted - self.ended.total()

    @property
    def unanswered(self) -> int:
        """How many are known from the log alone."""
        return sum(order.due is None for order in self._orders.values())

    def answered(self, order_id: str, due: float) -> None:
        """The order was accepted."""
        order = self._known(order_id)
        order.due = due
        self._finish(order_id, order)

    def standing(self, position: int) -> None:  # noqa: ARG002  # a watcher's
        self.is_standing.set()

    def heard(self, step: Step) -> None:
        order = self._known(step.order_id)
        if step.is_final:
            order.ended_at = perf_counter()
            self.found(step.order_id, step.status, step.data.get("code"))

    def cut(self) -> None:
        """Nothing is lost by it."""

    async def missed(self, after: int, oldest: int) -> int:  # noqa: ARG002  # a watcher's
        self.has_missed = True
        return oldest

    def found(self, order_id: str, status: str, code: str | None) -> None:
        """The order has this status; `code` says why it failed."""
        order = self._known(order_id)
        if status in FINAL and order.status not in FINAL:
            order.status = status
            self.ended[status] += 1
            if status == Status.FAILED:
                self.failures[code or "unknown"] += 1
            self._finish(order_id, order)
            self._moved.set()

    def open(self) -> list[str]:
        """The orders that were accepted and have not ended."""
        return [order_id for order_id, order in self._orders.items() if order.status not in FINAL]

    async def until_all_ended(self) -> None:
        while self.under_way:
            self._moved.clear()
            await self._moved.wait()

    def _known(self, order_id: str) -> _Order:
        if order_id not in self._orders:
            self._orders[order_id] = _Order()
            self.accepted += 1
        return self._orders[order_id]

    def _finish(self, order_id: str, order: _Order) -> None:
        """Forgets an order of which everything is known."""
        if order.due is None or order.status not in FINAL:
            return
        if order.status == Status.CONFIRMED and order.ended_at is not None:
            self.latencies.append(order.ended_at - order.due)
        del self._orders[order_id]

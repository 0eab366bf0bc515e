"""What notifications have told of the newest orders: a watcher that comes right after the POST needs no read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from app.orders.model import OrderEvent
from app.stream.listener import Notice

MOST_ORDERS: Final = 2048  # at about 3 kB each; the longest known is forgotten first
MOST_EVENTS: Final = 32  # of one order; one with more retries is read


class Recent:
    """The notices of orders that are known from their first event on, with none missing in between.

    Notices of an order arrive in the order of its events, because its moves are committed one after the other. So what is
    kept of an order is its beginning, and whatever follows has yet to be notified.
    """

    def __init__(self, most_orders: int = MOST_ORDERS) -> None:
        self._most_orders = most_orders
        self._orders: dict[UUID, list[Notice]] = {}

    def take(self, notice: Notice) -> None:
        if notice.sequence == 1:
            self._orders[notice.order_id] = [notice]
            if len(self._orders) > self._most_orders:
                del self._orders[next(iter(self._orders))]
        elif known := self._orders.get(notice.order_id):
            if len(known) == notice.sequence - 1 and notice.sequence <= MOST_EVENTS:
                known.append(notice)
            elif len(known) < notice.sequence:
                del self._orders[notice.order_id]

    def events(self, order_id: UUID) -> Sequence[OrderEvent]:
        """The order's events so far; none when not all of them are known."""
        events = [notice.event() for notice in self._orders.get(order_id, ())]
        known = [event for event in events if event is not None]
        return known if len(known) == len(events) else ()

    def forget(self) -> None:
        """Notices may have been missed."""
        self._orders.clear()

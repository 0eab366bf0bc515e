"""One order as an entry of the log, for streams that carry many."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from uuid import UUID

from app.api.parameters import malformed
from app.api.parts import ApiParts
from app.errors import UnknownOrder
from app.execution.intake import DEFAULT_ACCOUNT
from app.orders.lifecycle import FIRST
from app.orders.model import LogEntry, OrderEvent, OrderRequest, Swap
from app.storage.reader import OrderView


async def find_followed(parts: ApiParts, order_id: UUID, after: int) -> OrderView:
    """The order, which can be followed after this sequence. Raises UnknownOrder, Refusal or StorageUnavailable."""
    order = await parts.reader.find(order_id)
    if order is None or order.account != DEFAULT_ACCOUNT:
        raise UnknownOrder(str(order_id))
    if after > order.sequence and not order.status.is_final:
        raise malformed("after", f"is past the order's last event, which is {order.sequence}")
    return order


async def follow_order(parts: ApiParts, order: OrderView, after: int) -> AsyncGenerator[LogEntry, None]:
    """The order's events after a sequence, up to the final one. Raises HubClosed or SlowConsumer."""
    if order.status.is_final and after >= order.sequence:
        return
    async with parts.hub.subscribe(order.id, after) as events:
        async for event in events:
            yield _entry(order, event)


def _entry(order: OrderView, event: OrderEvent) -> LogEntry:
    swap = Swap(order.token_in, order.token_out, order.amount_in)
    request = OrderRequest(swap, order.slippage_bps, order.wallet, order.type)
    return LogEntry(event, order.account, order.wallet, request if event.status is FIRST else None)

"""Requeueing: what a poisoned order asked for is asked for again, by a new order.

The poisoned one stays what its watchers were told that it is: final. Nothing leads out of a final status, so whatever
rests on it (at most one landing, transcripts that end, a chain that agrees) needs no exception.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from app.errors import NotExecutable, UnknownOrder
from app.execution.intake import Accepted, Intake
from app.orders.failures import FailureCode, FundsMoved
from app.orders.model import OrderRequest, Swap
from app.storage.reader import OrderReader, OrderView

# No client can send this character in a key of its own.
KEY_PREFIX: Final = "requeue\x1f"


async def requeue(order_id: UUID, reader: OrderReader, intake: Intake) -> Accepted:
    """The order that takes the poisoned one's place; asked again, it is the same one.

    Raises UnknownOrder, StorageUnavailable, and NotExecutable when the order was not set aside, or when it is not
    known what became of its transaction: another one could fill it twice.
    """
    order = await reader.find(order_id)
    if order is None:
        raise UnknownOrder(f"there is no order {order_id}")
    if order.failure_code != FailureCode.POISONED:
        raise NotExecutable(f"order {order_id} is {order.status}, and was not set aside")
    if order.funds_moved != FundsMoved.NO:
        raise NotExecutable(
            f"it is not known what became of transaction {order.signature} of order {order_id}"
        )
    return await intake.accept(_request(order), account=order.account, key=f"{KEY_PREFIX}{order_id}")


def _request(order: OrderView) -> OrderRequest:
    swap = Swap(order.token_in, order.token_out, order.amount_in)
    return OrderRequest(swap, order.slippage_bps, order.wallet, order.type, order.scenario)

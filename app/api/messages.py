"""An event as clients see it; its data are spliced in as the ledger gives them, so that every amount stays exact."""

from __future__ import annotations

import msgspec

from app.api.problems import Refusal
from app.orders.amounts import json_number, whole_tokens
from app.orders.model import LogEntry, OrderEvent, OrderRequest


def flat(event: OrderEvent) -> str:
    """`{orderId, sequence, status, ts, …data}`: what the REST answers and two of the WebSockets carry."""
    members = bytes(event.data).decode().strip()[1:-1].strip()
    separator = "," if members else ""
    return (
        f'{{"orderId":"{event.order_id}","sequence":{event.sequence},"status":"{event.status}",'
        f'"ts":"{event.at}"{separator}{members}}}'
    )


def enveloped(event: OrderEvent) -> str:
    """`{type, orderId, sequence, status, timestamp, data}`: what `/ws/orders/{id}` carries."""
    return (
        f'{{"type":"status","orderId":"{event.order_id}","sequence":{event.sequence},"status":"{event.status}",'
        f'"timestamp":"{event.at}","data":{bytes(event.data).decode()}}}'
    )


def logged(entry: LogEntry) -> str:
    """`{position, orderId, sequence, status, timestamp, data}`, and of the first event also `order`: what streams of many orders carry."""
    event = entry.event
    order = f',"order":{_terms(entry.request)}' if entry.request is not None else ""
    return (
        f'{{"position":{entry.position},"orderId":"{event.order_id}","sequence":{event.sequence},'
        f'"status":"{event.status}","timestamp":"{event.at}","data":{bytes(event.data).decode()}{order}}}'
    )


def _terms(request: OrderRequest) -> str:
    swap = request.swap
    terms = {
        "type": request.type,
        "tokenIn": swap.token_in.symbol,
        "tokenOut": swap.token_out.symbol,
        "amount": json_number(whole_tokens(swap.amount_in, swap.token_in))
        if swap.token_in.is_known
        else None,
        "slippageBps": request.slippage_bps,
        "wallet": request.wallet,
    }
    return msgspec.json.encode(terms).decode()


def error_message(refusal: Refusal) -> str:
    """The last message before a WebSocket is closed for a reason."""
    return msgspec.json.encode({"type": "error", "code": refusal.code, "message": refusal.detail}).decode()

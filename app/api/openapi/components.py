"""The shared parts of the OpenAPI document: schemas, parameters and headers."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from app.api.market import PriceSeries, QuoteList, TokenList
from app.api.openapi import examples
from app.api.openapi.order_request import order_request
from app.api.problems import Problem
from app.api.schemas import (
    Alive,
    Health,
    Order,
    OrderAccepted,
    OrderEvents,
    OrderList,
    OrderQueued,
    ProblemKind,
    Readiness,
)
from app.api.stats import Stats
from app.orders.failures import FailureCode, FundsMoved
from app.orders.lifecycle import Status

Json = dict[str, Any]

REF: Final = "#/components/schemas/{name}"
ANSWERS: Final = (
    Alive, Health, Order, OrderAccepted, OrderEvents, OrderList, OrderQueued, PriceSeries, Problem, ProblemKind,
    QuoteList, Readiness, Stats, TokenList,
)  # fmt: skip


def schemas() -> Json:
    _, answers = msgspec.json.schema_components(ANSWERS, ref_template=REF)
    return {
        **answers,
        "OrderRequest": order_request(),
        "Event": _event(),
        "EnvelopedEvent": _enveloped_event(),
        "LoggedEvent": _logged_event(),
    }


_LEG: Final[Json] = {
    "type": "object",
    "properties": {
        **{name: {"type": "string"} for name in ("dex", "pool", "kind", "tokenIn", "tokenOut")},
        "amountIn": {"type": "number", "description": "Of the leg's tokenIn, the fee included."},
        "amountOut": {"type": "number", "description": "Of the leg's tokenOut, after the fee."},
        "fee": {"type": "number", "description": "As a fraction: 0.0025 is 0.25 %."},
    },
    "required": ["dex", "pool", "kind", "tokenIn", "tokenOut", "amountIn", "amountOut", "fee"],
}
_DATA: Final[Json] = {
    "attempt": {"type": "integer", "minimum": 1, "description": "The attempt that this step belongs to."},
    "dex": {
        "type": "string",
        "description": "The venue of the route's largest leg.",
        "examples": ["raydium"],
    },
    "quotes": {
        "type": "array",
        "description": "What each venue offered (`building`).",
        "items": {
            "type": "object",
            "properties": {
                "dex": {"type": "string"},
                "price": {"type": "number", "description": "TokenOut for one tokenIn, before the fee."},
                "fee": {"type": "number", "description": "As a fraction: 0.0025 is 0.25 %."},
                "amountOut": {"type": "number", "description": "Of tokenOut, after the fee."},
            },
            "required": ["dex", "price", "fee", "amountOut"],
        },
    },
    "route": {
        "type": "object",
        "description": "The pools that the swap goes through, in one transaction (`building`).",
        "properties": {
            "legs": {"type": "array", "items": _LEG},
            "bestSinglePool": {"type": ["object", "null"], "description": "What one pool would have paid."},
            "saving": {
                "type": "number",
                "description": "Of tokenOut, beyond what that pool would have paid.",
            },
        },
        "required": ["legs", "bestSinglePool", "saving"],
    },
    "unavailable": {
        "type": "array",
        "description": "The venues that gave no quote, and why (`building`).",
        "items": {
            "type": "object",
            "properties": {name: {"type": "string"} for name in ("dex", "code", "message")},
            "required": ["dex", "code", "message"],
        },
    },
    "txHash": {"type": "string", "description": "The transaction's signature (`submitted`, `confirmed`)."},
    "minAmountOut": {"type": "number", "description": "The least that it pays, or nothing (`submitted`)."},
    "executedPrice": {"type": "number", "description": "TokenOut for one tokenIn, as paid (`confirmed`)."},
    "amountOut": {"type": "number", "description": "Of tokenOut, as paid (`confirmed`)."},
    "code": {"enum": list(FailureCode), "description": "Why it failed (`retrying`, `failed`)."},
    "message": {"type": "string", "description": "The same for people."},
    "retryable": {"type": "boolean"},
    "fundsMoved": {"enum": list(FundsMoved)},
    "maxAttempts": {"type": "integer", "description": "After so many the order fails (`retrying`)."},
    "nextAttemptAt": {"type": "string", "format": "date-time", "description": "(`retrying`)"},
}
_HEAD: Final[Json] = {
    "orderId": {"type": "string", "format": "uuid"},
    "sequence": {"type": "integer", "minimum": 1, "description": "1, 2, 3 … with no gap."},
    "status": {"enum": list(Status)},
}
_TIME: Final[Json] = {"type": "string", "format": "date-time"}


def _event() -> Json:
    return {
        "type": "object",
        "description": "One step of an order, flat; which of the optional members there are depends on its status.",
        "properties": {**_HEAD, "ts": _TIME, **_DATA},
        "required": [*_HEAD, "ts"],
    }


def _enveloped_event() -> Json:
    data = {"type": "object", "properties": _DATA, "description": "The optional members of an Event."}
    return {
        "type": "object",
        "description": "One step of an order, with what depends on its status in an envelope.",
        "properties": {"type": {"const": "status"}, **_HEAD, "timestamp": _TIME, "data": data},
        "required": ["type", *_HEAD, "timestamp", "data"],
    }


def _logged_event() -> Json:
    data = {"type": "object", "properties": _DATA, "description": "The optional members of an Event."}
    order = {
        "type": "object",
        "description": "What was asked for (`pending`).",
        "properties": {
            "type": {"type": "string"},
            "tokenIn": {"type": "string"},
            "tokenOut": {"type": "string"},
            "amount": {"type": ["number", "null"], "description": "Of tokenIn, to sell."},
            "slippageBps": {"type": "integer"},
            "wallet": {"type": ["string", "null"]},
        },
    }
    position = {
        "type": "integer",
        "minimum": 1,
        "description": "In the log of all orders: rising, with gaps, in the order of commits.",
    }
    return {
        "type": "object",
        "description": "One step of an order, with its place in the log of all orders.",
        "properties": {"position": position, **_HEAD, "timestamp": _TIME, "data": data, "order": order},
        "required": ["position", *_HEAD, "timestamp", "data"],
    }


def _header(description: str, schema: Json, example: Any) -> Json:
    return {"description": description, "schema": schema, "example": example}


_TEXT: Final[Json] = {"type": "string"}
_SECONDS: Final[Json] = {"type": "integer", "minimum": 1}

HEADERS: Final[dict[str, Json]] = {
    "Location": _header("The order.", {"type": "string"}, f"/api/orders/{examples.ORDER_ID}"),
    "Idempotent-Replayed": _header("The answer repeats an earlier one.", {"const": "true"}, "true"),
    "RateLimit-Policy": _header(
        "How many orders (q) per seconds (w) the client may place; absent when nothing is limited.",
        _TEXT,
        '"orders";q=120;w=60',
    ),
    "RateLimit": _header(
        "How many orders remain (r), and in how many seconds (t) there are more; absent when nothing is limited.",
        _TEXT,
        '"orders";r=119;t=60',
    ),
    "Retry-After": _header("Seconds to wait before asking again.", _SECONDS, 1),
    "Upgrade": _header("The protocol to upgrade to.", {"const": "websocket"}, "websocket"),
}


def _link(operation: str, description: str, **parameters: str) -> Json:
    values = {name: f"$response.body#/{pointer}" for name, pointer in parameters.items()}
    return {"operationId": operation, "parameters": values, "description": description}


LINKS: Final[dict[str, Json]] = {
    "order": _link("getOrder", "Read the order.", order_id="orderId"),
    "events": _link("getOrderEvents", "Read its events.", order_id="orderId"),
    "execute": _link("executeOrder", "Execute it.", order_id="orderId"),
    "watch": _link("watchOrder", "Watch it.", orderId="orderId"),
    "watchEnveloped": _link("watchOrderEnveloped", "Watch it, in envelopes.", order_id="orderId"),
    "nextPage": _link("listOrders", "Read the next page.", cursor="nextCursor"),
}

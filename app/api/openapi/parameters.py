"""The parameters of the calls, by the names that the operations give them."""

from __future__ import annotations

from typing import Any, Final

from app.api.idempotency import KEY_LENGTH
from app.api.market import POINTS_RANGE, SECONDS_RANGE
from app.api.openapi import examples
from app.api.openapi.order_request import AMOUNT, TOKEN, WALLET
from app.api.parameters import AFTER_RANGE, CURSOR_LENGTH, DEFAULT_LIMIT, LIMIT_RANGE, POSITION_RANGE
from app.api.problems import PROBLEMS
from app.api.sandbox import HEADER
from app.api.sse import LAST_EVENT_ID
from app.orders.lifecycle import Status
from app.orders.request import SLIPPAGE_BPS_RANGE
from app.orders.scenarios import Scenario

Json = dict[str, Any]


def _parameter(
    name: str, place: str, description: str, schema: Json, example: Any, *, is_required: bool = False
) -> Json:
    return {
        "name": name,
        "in": place,
        "description": description,
        "required": place == "path" or is_required,
        "schema": schema,
        "example": example,
    }


def _whole(allowed: range) -> Json:
    return {"type": "integer", "minimum": allowed[0], "maximum": allowed[-1]}


_ID: Final[Json] = {"type": "string", "format": "uuid"}
_KEY: Final[Json] = {
    "type": "string",
    "minLength": KEY_LENGTH[0],
    "maxLength": KEY_LENGTH[-1],
    "pattern": "^[!-~]([ -~]*[!-~])?$",  # the blanks around a header's value are not part of it
}
PARAMETERS: Final[dict[str, Json]] = {
    "orderId": _parameter("order_id", "path", "The order's id.", _ID, examples.ORDER_ID),
    "orderIdQuery": _parameter(
        "orderId", "query", "The order's id.", _ID, examples.ORDER_ID, is_required=True
    ),
    "ofOrder": _parameter("orderId", "query", "Only this order, up to its end.", _ID, examples.ORDER_ID),
    "after": _parameter(
        "after",
        "query",
        "Leave out the events up to this sequence.",
        {**_whole(AFTER_RANGE), "default": 0},
        2,
    ),
    "afterPosition": _parameter(
        "after",
        "query",
        "Only what comes after this position of the log; without it, what comes from now on, or of one order all.",
        _whole(POSITION_RANGE),
        examples.POSITION,
    ),
    "lastEventId": _parameter(
        LAST_EVENT_ID,
        "header",
        "The `id` of the last event that arrived, as browsers send it when they come back; wins over `after`.",
        _whole(POSITION_RANGE),
        examples.POSITION,
    ),
    "tokenIn": _parameter("tokenIn", "query", "What to sell.", TOKEN, "SOL", is_required=True),
    "tokenOut": _parameter("tokenOut", "query", "What to buy.", TOKEN, "USDC", is_required=True),
    "tokenInPath": _parameter("token_in", "path", "What is sold.", TOKEN, "SOL"),
    "tokenOutPath": _parameter("token_out", "path", "What is bought.", TOKEN, "USDC"),
    "amount": _parameter("amount", "query", "Of tokenIn, in whole tokens.", AMOUNT, "1.25", is_required=True),
    "slippageBps": _parameter(
        "slippageBps",
        "query",
        "The tolerance that minAmountOut is for. Default: DEFAULT_SLIPPAGE_BPS of the server, 50 unless set.",
        _whole(SLIPPAGE_BPS_RANGE),
        50,
    ),
    "points": _parameter(
        "points", "query", "How many prices.", {**_whole(POINTS_RANGE), "default": 120}, 120
    ),
    "seconds": _parameter(
        "seconds", "query", "The span, up to now.", {**_whole(SECONDS_RANGE), "default": 600}, 600
    ),
    "wallet": _parameter("wallet", "query", "Only the orders of this wallet.", WALLET, examples.WALLET),
    "walletPath": _parameter("wallet", "path", "The wallet.", WALLET, examples.WALLET),
    "status": _parameter(
        "status", "query", "Only the orders in this status.", {"enum": list(Status)}, "confirmed"
    ),
    "limit": _parameter(
        "limit",
        "query",
        "How many orders the page has at most.",
        {**_whole(LIMIT_RANGE), "default": DEFAULT_LIMIT},
        20,
    ),
    "cursor": _parameter(
        "cursor",
        "query",
        "The `nextCursor` of the page before.",
        # The last of the characters holds two bits only: 16 bytes are 21⅓ characters of base64url.
        {
            "type": "string",
            "minLength": CURSOR_LENGTH,
            "maxLength": CURSOR_LENGTH,
            "pattern": f"^[A-Za-z0-9_-]{{{CURSOR_LENGTH - 1}}}[AQgw]$",
        },
        examples.CURSOR,
    ),
    "idempotencyKey": _parameter(
        "Idempotency-Key", "header", "Makes it safe to ask again; unique per account.", _KEY, "demo-run-123"
    ),
    "xIdempotencyKey": _parameter(
        "x-idempotency-key", "header", "Another name for the same header; give one.", _KEY, "demo-run-123"
    ),
    "sandboxScenario": _parameter(
        HEADER,
        "header",
        "What the venues are to do with the order, as the field `scenario` of the body: for tests of clients, and "
        "refused in production.",
        {"enum": list(Scenario)},
        "landed_late",
    ),
    "problemCode": _parameter(
        "code", "path", "The problem's code.", {"enum": list(PROBLEMS)}, "unknown_order"
    ),
}

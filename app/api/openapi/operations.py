"""What each call does, by the name of its handler: the part of the OpenAPI document that no code can know."""

from __future__ import annotations

from typing import Any, Final

from app.api.openapi import examples
from app.api.openapi.live import LIVE
from app.api.openapi.operation import Answer, Operation
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

_STORAGE: Final = ("storage_unavailable",)
_ONE_ORDER: Final = ("invalid_parameter", "unknown_order", *_STORAGE)
_LISTING: Final = ("invalid_parameter", *_STORAGE)
_PLACING: Final = (
    "invalid_request",
    "invalid_parameter",
    "invalid_idempotency_key",
    "sandbox_only",
    "body_too_large",
    "unsupported_media_type",
    "idempotency_mismatch",
    "rate_limited",
    *_STORAGE,
)
_HEADERS: Final = ("idempotencyKey", "xIdempotencyKey", "sandboxScenario")
_PAGING: Final = ("limit", "cursor")
_THE_ORDER: Final = ("order", "events", "watch", "watchEnveloped")
_REPEATS: Final = (
    "Send an idempotency key to be able to ask again after any failure: the same key with the same request answers "
    "the same order, and takes nothing from the client's allowance."
)
_WATCHING: Final = (
    "Every event of the order is sent once and in order, those that have happened first; `after` resumes after a "
    "sequence. Close codes: 1000 the order is final, 4400 malformed id or `after`, 4404 no such order, "
    "1013 the client does not read or the database is away, 1012 the server restarts, 1011 the engine failed. Before "
    '4400, 4404, 1011 and a 1013 for the database comes `{"type": "error", "code", "message"}`. What clients send is ignored. The messages '
    "of every status: [AsyncAPI](/docs/asyncapi)."
)
_UPGRADED: Final = Answer("The connection is a WebSocket now; `x-messages` says what it carries.", None)


def _accepted(*links: str) -> dict[int, Answer]:
    return {
        201: Answer("The order is committed.", OrderAccepted, examples.ACCEPTED, ("Location",), links),
        200: Answer(
            "A repeat: this key has made this very order before, and nothing was stored.",
            OrderAccepted,
            examples.REPLAYED,
            ("Location", "Idempotent-Replayed"),
            links,
        ),
    }


def _watching(summary: str, schema: str, example: dict[str, Any], *parameters: str) -> Operation:
    return Operation(
        "stream",
        summary,
        _WATCHING,
        {101: _UPGRADED},
        ("upgrade_required",),
        (*parameters, "after"),
        messages={"schema": {"$ref": f"#/components/schemas/{schema}"}, "example": example},
    )


OPERATIONS: Final[dict[str, Operation]] = {
    "placeOrder": Operation(
        "orders",
        "Place an order",
        f"Stores the order and queues it for execution, both or neither. {_REPEATS}",
        _accepted(*_THE_ORDER),
        _PLACING,
        _HEADERS,
        takes_order=True,
    ),
    "storeOrder": Operation(
        "orders",
        "Store an order without executing it",
        f"The order stays `pending` until it is executed by its id. {_REPEATS}",
        _accepted("execute", *_THE_ORDER),
        _PLACING,
        _HEADERS,
        takes_order=True,
    ),
    "executeOrder": Operation(
        "orders",
        "Execute a stored order",
        "Queues an order that was only stored. Of many callers at once exactly one succeeds.",
        {202: Answer("The order is queued.", OrderQueued, examples.QUEUED, ("Location",), _THE_ORDER)},
        ("not_executable", *_ONE_ORDER),
        ("orderId",),
    ),
    "getOrder": Operation(
        "orders",
        "Read an order",
        "The order as it stands, with every event that led there.",
        {200: Answer("The order.", Order, examples.ORDER)},
        _ONE_ORDER,
        ("orderId",),
    ),
    "getOrderEvents": Operation(
        "orders",
        "Read an order's events",
        "The events alone, in order: all of them, or those after a sequence.",
        {200: Answer("The events.", OrderEvents, examples.ORDER_EVENTS)},
        _ONE_ORDER,
        ("orderId", "after"),
    ),
    "listOrders": Operation(
        "orders",
        "List orders",
        "Newest first. For the next page, send `nextCursor` back as `cursor`, with the same filters. "
        "Following the log from `asOf` leads from here to whatever happens later.",
        {200: Answer("A page of orders.", OrderList, examples.ORDER_LIST, links=("nextPage",))},
        _LISTING,
        ("wallet", "status", *_PAGING),
    ),
    "listOrdersOfWallet": Operation(
        "orders",
        "List the orders of a wallet",
        "The same list, for one wallet.",
        {200: Answer("A page of orders.", OrderList, examples.ORDER_LIST)},
        _LISTING,
        ("walletPath", "status", *_PAGING),
    ),
    "watchOrder": _watching("Watch an order", "Event", examples.EVENTS[3], "orderIdQuery"),
    "watchOrderHere": _watching(
        "Watch an order, at another path", "Event", examples.EVENTS[3], "orderIdQuery"
    ),
    "watchOrderEnveloped": _watching(
        "Watch an order, its events in envelopes", "EnvelopedEvent", examples.ENVELOPED, "orderId"
    ),
    **LIVE,
    "root": Operation(
        "engine",
        "Say hello",
        "For programs that look whether somebody is there. A browser (`Accept: text/html`) gets the console instead.",
        {200: Answer("Yes.", Alive, {"ok": True})},
    ),
    "livez": Operation(
        "engine",
        "Say whether the process lives",
        "Asks nothing of anybody else.",
        {200: Answer("It does.", Alive, {"ok": True})},
    ),
    "health": Operation(
        "engine",
        "Say how the engine is",
        "Without Redis the engine is `degraded` but works; without its database it is `unavailable`.",
        {
            200: Answer("Orders are accepted.", Health, examples.HEALTHY),
            503: Answer("The database cannot be reached.", Health, examples.UNHEALTHY),
        },
    ),
    "readyz": Operation(
        "engine",
        "Say whether to send requests here",
        "For load balancers: `reasons` says what is missing.",
        {
            200: Answer("Ready.", Readiness, {"ready": True, "reasons": []}),
            503: Answer("Not ready.", Readiness, examples.NOT_READY),
        },
    ),
    "listProblems": Operation(
        "engine",
        "List the problems",
        "Every problem that the engine answers, with its meaning.",
        {200: Answer("The catalogue.", list[ProblemKind], [examples.PROBLEM_KIND])},
    ),
    "getProblem": Operation(
        "engine",
        "Read what a problem means",
        "Where the `type` of each problem document leads.",
        {200: Answer("The problem.", ProblemKind, examples.PROBLEM_KIND)},
        ("not_found",),
        ("problemCode",),
    ),
}

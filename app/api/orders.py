"""The REST calls: place an order, execute a stored one, read orders and their events."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from litestar import Request as LitestarRequest
from litestar import Router, get, post
from litestar.params import FromPath

from app.api.answers import JsonAnswer
from app.api.body import json_body
from app.api.idempotency import idempotency_key
from app.api.parameters import (
    AFTER_RANGE,
    DEFAULT_LIMIT,
    LIMIT_RANGE,
    Query,
    cursor_after,
    order_id_of,
    wallet_in_path,
)
from app.api.sandbox import with_scenario
from app.api.schemas import (
    OrderAccepted,
    OrderEvents,
    OrderList,
    OrderQueued,
    flat_events,
    order_summary,
    order_with_events,
)
from app.api.state import state_of
from app.api.visits import begin_visit, rate_limit_headers
from app.errors import UnknownOrder
from app.execution.intake import DEFAULT_ACCOUNT
from app.orders.lifecycle import FIRST
from app.orders.request import parse_order_request
from app.storage.reader import OrderReader

Request: TypeAlias = LitestarRequest[Any, Any, Any]


@post("/execute", name="placeOrder", status_code=201)
async def place_order(request: Request) -> JsonAnswer:
    return await _place(request, is_queued=True)


@post("/order/execute", name="placeOrderInSingular", status_code=201, include_in_schema=False)
async def place_order_in_singular(request: Request) -> JsonAnswer:
    """The same, where clients of a comparable engine post: see docs/compatibility.md."""
    return await _place(request, is_queued=True)


@post("/", name="storeOrder", status_code=201)
async def store_order(request: Request) -> JsonAnswer:
    return await _place(request, is_queued=False)


@post("/{order_id:str}/execute", name="executeOrder", status_code=202)
async def execute_order(request: Request, order_id: FromPath[str]) -> JsonAnswer:
    state = state_of(request)
    visit = begin_visit(request.scope, DEFAULT_ACCOUNT)
    try:
        order = order_id_of(order_id)
        await state.parts.intake.execute(order, account=DEFAULT_ACCOUNT)
    finally:
        await state.desk.look(visit)
    answer = OrderQueued(order, FIRST, _watch_path(str(order)))
    return JsonAnswer(answer, 202, {"Location": _order_path(str(order)), **rate_limit_headers(request.scope)})


@get("/{order_id:str}", name="getOrder")
async def get_order(request: Request, order_id: FromPath[str]) -> JsonAnswer:
    reader = state_of(request).parts.reader
    order = order_id_of(order_id)
    view = await reader.find(order)
    if view is None:
        raise UnknownOrder(str(order))
    return JsonAnswer(order_with_events(view, await reader.events(order)))


@get("/{order_id:str}/events", name="getOrderEvents")
async def get_order_events(request: Request, order_id: FromPath[str]) -> JsonAnswer:
    reader = state_of(request).parts.reader
    order = order_id_of(order_id)
    after = Query(request.scope["query_string"]).number("after", AFTER_RANGE, 0)
    events = await reader.events(order, after)
    if not events and await reader.head(order) is None:
        raise UnknownOrder(str(order))
    return JsonAnswer(OrderEvents(order, flat_events(events)))


@get("/", name="listOrders")
async def list_orders(request: Request) -> JsonAnswer:
    query = Query(request.scope["query_string"])
    return await _list(state_of(request).parts.reader, query, query.wallet())


@get("/user/{wallet:str}", name="listOrdersOfWallet")
async def list_orders_of_wallet(request: Request, wallet: FromPath[str]) -> JsonAnswer:
    query = Query(request.scope["query_string"])
    return await _list(
        state_of(request).parts.reader, query, wallet_in_path(wallet, request.scope["raw_path"])
    )


async def _place(request: Request, *, is_queued: bool) -> JsonAnswer:
    state = state_of(request)
    visit = begin_visit(request.scope, DEFAULT_ACCOUNT)
    try:
        key = idempotency_key(request.scope["headers"])
        body = await json_body(request)
        settings = state.parts.settings
        order = parse_order_request(body, settings.default_slippage_bps)
        order = with_scenario(order, request.scope["headers"], is_production=settings.is_production)
        order_id, is_repeat = await state.desk.place(order, visit, key=key, is_queued=is_queued)
    finally:
        # Every answer to a POST says what is left of the allowance, the refusals too.
        await state.desk.look(visit)
    name = str(order_id)
    answer = OrderAccepted(order_id, FIRST, is_repeat, _watch_path(name))
    headers = {"Location": _order_path(name), **rate_limit_headers(request.scope)}
    if is_repeat:
        return JsonAnswer(answer, 200, {**headers, "Idempotent-Replayed": "true"})
    return JsonAnswer(answer, 201, headers)


async def _list(reader: OrderReader, query: Query, wallet: str | None) -> JsonAnswer:
    page = await reader.page(
        account=DEFAULT_ACCOUNT,
        wallet=wallet,
        status=query.status(),
        limit=query.number("limit", LIMIT_RANGE, DEFAULT_LIMIT),
        before=query.cursor(),
    )
    next_cursor = cursor_after(page.orders[-1].id) if page.has_more else None
    orders = [order_summary(view) for view in page.orders]
    return JsonAnswer(OrderList(orders, page.has_more, next_cursor, page.as_of))


def _order_path(order_id: str) -> str:
    return f"/api/orders/{order_id}"


def _watch_path(order_id: str) -> str:
    return f"/api/orders/execute?orderId={order_id}"


_orders: Final = Router(
    "/orders",
    route_handlers=[
        place_order,
        store_order,
        execute_order,
        get_order,
        get_order_events,
        list_orders,
        list_orders_of_wallet,
    ],
)
orders_router: Final = Router("/api", route_handlers=[_orders, place_order_in_singular])

"""The answers of the API: what they hold, and how they come from the ledger's views."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Raw

from app.api.messages import flat
from app.api.times import iso
from app.orders.amounts import json_number, price, whole_tokens
from app.orders.failures import RULES, FailureCode, FundsMoved
from app.orders.lifecycle import Status
from app.orders.model import OrderEvent
from app.orders.scenarios import Scenario
from app.orders.tokens import Token
from app.storage.reader import OrderView

# Written as JSON numbers with every digit that they have: no float is ever involved.
Number = Annotated[Raw, Meta(extra_json_schema={"type": "number"})]
Event = Annotated[Raw, Meta(extra_json_schema={"$ref": "#/components/schemas/Event"})]


class OrderAccepted(msgspec.Struct, frozen=True, rename="camel"):
    """The order is committed; its status is the one at acceptance, also in the answer to a repeat."""

    order_id: UUID
    status: Status
    idempotent: Annotated[bool, Meta(description="Whether the key had made this very order before.")]
    ws: Annotated[str, Meta(description="Where to watch the order over a WebSocket.")]


class OrderQueued(msgspec.Struct, frozen=True, rename="camel"):
    """The order, which was only stored, is queued for execution."""

    order_id: UUID
    status: Status
    ws: Annotated[str, Meta(description="Where to watch the order over a WebSocket.")]


class OrderFailure(msgspec.Struct, frozen=True, rename="camel"):
    """Why the order, or its latest attempt, failed."""

    code: FailureCode
    message: str
    retryable: bool
    funds_moved: FundsMoved


class OrderSummary(msgspec.Struct, frozen=True, rename="camel"):
    """An order; amounts and prices are exact JSON numbers in whole tokens, and null is what is not known yet."""

    order_id: UUID
    type: str
    token_in: str
    token_out: str
    amount: Annotated[Number | None, Meta(description="Of tokenIn, to sell.")]
    slippage_bps: int
    wallet: str | None
    scenario: Annotated[
        Scenario | None, Meta(description="What the order asked the sandbox's venues to do; null: nothing.")
    ]
    status: Status
    sequence: Annotated[int, Meta(description="The number of the order's last event.")]
    queued: Annotated[bool, Meta(description="Whether the order is, or was, handed to the workers.")]
    attempts: Annotated[int, Meta(description="How many attempts at execution were begun.")]
    dex: Annotated[str | None, Meta(description="The venue of the latest attempt.")]
    quoted_price: Annotated[
        Number | None, Meta(description="TokenOut for one tokenIn, after the venue's fee.")
    ]
    executed_price: Annotated[Number | None, Meta(description="TokenOut for one tokenIn, as it was paid.")]
    quoted_amount_out: Number | None
    min_amount_out: Annotated[
        Number | None, Meta(description="The least that the slippage tolerance accepts.")
    ]
    amount_out: Annotated[Number | None, Meta(description="Of tokenOut, as it was paid.")]
    tx_hash: Annotated[str | None, Meta(description="The signature of the latest attempt.")]
    failure: OrderFailure | None
    created_at: str
    updated_at: str


class Order(OrderSummary, frozen=True):
    """An order with everything that has happened to it."""

    events: list[Event]


class OrderEvents(msgspec.Struct, frozen=True, rename="camel"):
    """The order's events after a sequence, in order."""

    order_id: UUID
    events: list[Event]


class OrderList(msgspec.Struct, frozen=True, rename="camel"):
    """A page of orders, newest first."""

    orders: list[OrderSummary]
    has_more: bool
    next_cursor: Annotated[
        str | None, Meta(description="The `cursor` of the next page; null on the last one.")
    ]
    as_of: Annotated[
        int,
        Meta(
            description="The position of the log up to which the orders have every event, and none after it."
        ),
    ]


class Health(msgspec.Struct, frozen=True):
    """How the engine is: it works without Redis, only slower, but not without its database."""

    status: Literal["ok", "degraded", "unavailable"]
    ok: bool
    database: Literal["connected", "disconnected"]
    redis: Literal["connected", "disconnected"]


class Readiness(msgspec.Struct, frozen=True):
    """Whether to send requests here, and if not, why not."""

    ready: bool
    reasons: list[str]


class ProblemKind(msgspec.Struct, frozen=True):
    """A kind of problem: what its code, and the `type` that leads here, mean."""

    code: str
    status: int
    title: str
    description: str


class Alive(msgspec.Struct, frozen=True):
    """Somebody is there."""

    ok: bool = True


def order_summary(view: OrderView) -> OrderSummary:
    return OrderSummary(**_fields(view))


def order_with_events(view: OrderView, events: Iterable[OrderEvent]) -> Order:
    # The events were read after the order: what happened in between belongs to the next answer.
    known = (event for event in events if event.sequence <= view.sequence)
    return Order(**_fields(view), events=flat_events(known))


def flat_events(events: Iterable[OrderEvent]) -> list[Raw]:
    return [Raw(flat(event).encode()) for event in events]


def _fields(view: OrderView) -> dict[str, Any]:
    return {
        "order_id": view.id,
        "type": view.type,
        "token_in": view.token_in.symbol,
        "token_out": view.token_out.symbol,
        "amount": amount_of(view.amount_in, view.token_in),
        "slippage_bps": view.slippage_bps,
        "wallet": view.wallet,
        "scenario": view.scenario,
        "status": view.status,
        "sequence": view.sequence,
        "queued": view.queued,
        "attempts": view.attempts,
        "dex": view.venue,
        "quoted_price": _price(view, view.quoted_out),
        "executed_price": _price(view, view.amount_out),
        "quoted_amount_out": amount_of(view.quoted_out, view.token_out),
        "min_amount_out": amount_of(view.min_out, view.token_out),
        "amount_out": amount_of(view.amount_out, view.token_out),
        "tx_hash": view.signature,
        "failure": _failure(view),
        "created_at": iso(view.created_at),
        "updated_at": iso(view.updated_at),
    }


def amount_of(base_units: int | None, token: Token) -> Raw | None:
    # The scale of a token that is not traded any more is not known, and a wrong amount is worse than none.
    if base_units is None or not token.is_known:
        return None
    return json_number(whole_tokens(base_units, token))


def _price(view: OrderView, amount_out: int | None) -> Raw | None:
    if amount_out is None or not (view.token_in.is_known and view.token_out.is_known):
        return None
    return json_number(price(amount_out, view.token_out, view.amount_in, view.token_in))


def _failure(view: OrderView) -> OrderFailure | None:
    if view.failure_code is None:
        return None
    code = FailureCode(view.failure_code)
    return OrderFailure(
        code=code,
        message=view.failure_message or RULES[code].meaning,
        retryable=RULES[code].retryable,
        funds_moved=FundsMoved(view.funds_moved or FundsMoved.UNKNOWN),
    )

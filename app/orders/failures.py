"""Why an order or an attempt failed: stable codes, and what each means for the client."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

LONGEST_MESSAGE: Final = 300  # characters


class FundsMoved(StrEnum):
    NO = "no"
    YES = "yes"
    UNKNOWN = "unknown"


class FailureCode(StrEnum):
    QUOTE_TIMEOUT = "quote_timeout"
    VENUE_UNAVAILABLE = "venue_unavailable"
    TRANSACTION_DROPPED = "transaction_dropped"
    TRANSACTION_EXPIRED = "transaction_expired"
    EXECUTION_FAILED = "execution_failed"
    SLIPPAGE_EXCEEDED = "slippage_exceeded"
    UNKNOWN_TOKEN = "unknown_token"  # noqa: S105  # a code, not a credential
    UNFILLABLE_AMOUNT = "unfillable_amount"
    POISONED = "poisoned"


class FailureRule(NamedTuple):
    """What a code means, and what whoever placed the order does next once it has failed with it.

    `funds_moved`: all that can be said of the client's funds, the usual first.
    """

    retryable: bool
    meaning: str
    next_action: str
    funds_moved: tuple[FundsMoved, ...] = (FundsMoved.NO,)


RULES: Final[dict[FailureCode, FailureRule]] = {
    FailureCode.QUOTE_TIMEOUT: FailureRule(
        retryable=True,
        meaning="No venue answered in time.",
        next_action="Place the order again, after a pause that gets longer each time.",
    ),
    FailureCode.VENUE_UNAVAILABLE: FailureRule(
        retryable=True,
        meaning="No venue could quote, or the chosen one did not build the transaction.",
        next_action="Place the order again, after a pause that gets longer each time; tell somebody if it lasts.",
    ),
    FailureCode.TRANSACTION_DROPPED: FailureRule(
        retryable=True,
        meaning="The venue refused the transaction before it could land.",
        next_action="Place the order again: the transaction never lands.",
    ),
    FailureCode.TRANSACTION_EXPIRED: FailureRule(
        retryable=True,
        meaning="The transaction passed its last valid block height without landing.",
        next_action="Look at the price, it is a minute old, and place the order again: the transaction never lands.",
    ),
    FailureCode.EXECUTION_FAILED: FailureRule(
        retryable=True,
        meaning="The transaction failed on chain; no tokens were exchanged.",
        next_action="Place the order again; with a smaller amount if that keeps failing.",
    ),
    FailureCode.SLIPPAGE_EXCEEDED: FailureRule(
        retryable=False,
        meaning="The price moved beyond the tolerance; no tokens were exchanged.",
        next_action="Look at the price again, and place an order that still makes sense at it.",
    ),
    FailureCode.UNKNOWN_TOKEN: FailureRule(
        retryable=False,
        meaning="No venue knows the token.",
        next_action="Do not repeat it: the token is not traded any more.",
    ),
    FailureCode.UNFILLABLE_AMOUNT: FailureRule(
        retryable=False,
        meaning="No venue can fill this amount.",
        next_action="Place an order for another amount: it is more than the pools hold, or too little for a base unit.",
    ),
    FailureCode.POISONED: FailureRule(
        retryable=False,
        meaning="Workers died five times while holding the order; it was set aside.",
        next_action="Tell the operator. If no funds moved, `order-engine requeue` places it again once the cause is "
        "removed; if that is unknown, look the transaction up before anything else.",
        funds_moved=(FundsMoved.NO, FundsMoved.UNKNOWN),
    ),
}


class Failure(NamedTuple):
    """One failed attempt: the code, a message for the client, and whether the client's funds moved."""

    code: FailureCode
    message: str
    funds_moved: FundsMoved = FundsMoved.NO

    @property
    def retryable(self) -> bool:
        return RULES[self.code].retryable


def legible(message: str) -> str:
    """A message from outside as it can be stored and shown: cut short, without what cannot be printed."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in message[:LONGEST_MESSAGE])


def markdown() -> str:
    """Every failure as a page of the documentation."""
    rows = [
        f"| `{code}` | {'yes' if rule.retryable else 'no'} | {_either(rule.funds_moved)} | {rule.meaning} | {rule.next_action} |"
        for code, rule in RULES.items()
    ]
    return "\n".join([*_PAGE, *rows])


_PAGE: Final = (
    "# Failures",
    "",
    "Why an order, or one of its attempts, failed: the `code` of the events `retrying` and `failed`. This page is what",
    "`order-engine failures --markdown` prints; the table behind it is `app/orders/failures.py`.",
    "",
    "`retryable`: the engine tries again by itself, up to `MAX_ATTEMPTS` times. An event `retrying` asks nothing of the",
    "client. `failed` is final, and the next action is the client's; `retryable` then says that a new order may well",
    "succeed. `fundsMoved` says whether tokens were exchanged: a new order is safe after `no`, and after `no` only.",
    "",
    "| code | retryable | fundsMoved | meaning | next action |",
    "|---|---|---|---|---|",
)


def _either(values: tuple[FundsMoved, ...]) -> str:
    return " or ".join(f"`{value}`" for value in values)

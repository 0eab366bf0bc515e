"""The port through which the engine trades: what a venue must do, whatever stands behind it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeAlias
from uuid import UUID

import msgspec

from app.orders.failures import Failure
from app.orders.model import Quote, SignedTransaction, Swap
from app.orders.tokens import Token


class TxState(StrEnum):
    UNKNOWN = "unknown"  # the chain has not recorded it: it may still land, or never
    PROCESSED = "processed"  # seen by the chain, not final
    CONFIRMED = "confirmed"  # landed; `amount_out` says what it paid
    FAILED = "failed"  # recorded and failed; `failure` says why, and no tokens were exchanged


class TxStatus(msgspec.Struct, frozen=True):
    """What the chain says of a signature; `amount_out` is in base units of the token bought."""

    state: TxState
    amount_out: int | None = None
    failure: Failure | None = None


class SwapOrder(msgspec.Struct, frozen=True):
    """What a venue needs to know of an order to build its transaction; `min_out` in base units."""

    id: UUID
    attempt: int
    swap: Swap
    min_out: int


class Venue(Protocol):
    @property
    def name(self) -> str: ...

    async def quote(self, swap: Swap) -> Quote:
        """What the venue pays now. Raises QuoteUnavailable or Unfillable."""

    async def build(self, order: SwapOrder, quote: Quote) -> SignedTransaction:
        """A signed transaction that pays at least `order.min_out` or nothing. Raises VenueError."""

    async def submit(self, transaction: SignedTransaction) -> None:
        """Send it; sending the same bytes again is harmless.

        Raises SubmissionRejected when it is certain that it never lands; any other error is ambiguous.
        """

    async def status(self, signature: str) -> TxStatus:
        """What became of the signature; knows all that landed up to a height that was answered before."""

    async def height(self) -> int:
        """The chain's block height, never ahead of what `status` knows.

        Past its last valid height a transaction of which `status` knows nothing is given up and signed anew: over
        nodes that lag behind each other this is to be the height at which a block is final.
        """


class PriceHistory(Protocol):
    """What the market's mid prices were, for whoever shows them; no order is ever decided by them."""

    async def mid_prices(
        self, token_in: Token, token_out: Token, times: Sequence[dt.datetime]
    ) -> list[Decimal]:
        """Whole tokens out for one whole token in, between bid and ask and before any fee, at each of these times."""


# Of the quotes for a swap, at least one, what is to be done: one of them, or a route over the pools of several venues.
Choose: TypeAlias = Callable[[Swap, Sequence[Quote]], Quote]


class Venues(NamedTuple):
    """Where the engine trades, and how it chooses there."""

    all: tuple[Venue, ...]
    choose: Choose

"""The values of the domain: what is asked, what a venue offers, what was signed, and the order itself."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

import msgspec
import uuid_utils.compat

from app.orders.lifecycle import Status
from app.orders.scenarios import Act, Scenario
from app.orders.tokens import Token


class Swap(msgspec.Struct, frozen=True):
    """Sell `amount_in` base units of one token for another; with an act, as its scenario has it."""

    token_in: Token
    token_out: Token
    amount_in: int
    act: Act | None = None


class OrderRequest(msgspec.Struct, frozen=True):
    """What a client asks for, validated and exact."""

    swap: Swap
    slippage_bps: int
    wallet: str | None = None
    type: str = "market"
    scenario: Scenario | None = None  # how simulated venues treat it; None: as the market is


class Leg(msgspec.Struct, frozen=True):
    """A swap in one pool; base units of either token, `fee` as a fraction of what is swapped."""

    venue: str
    pool: str
    kind: str
    token_in: Token
    token_out: Token
    amount_in: int
    amount_out: int
    fee: float


class SinglePool(msgspec.Struct, frozen=True):
    """What one pool alone would pay, in base units."""

    venue: str
    pool: str
    amount_out: int


class Route(msgspec.Struct, frozen=True):
    """The pools that a swap goes through, in one transaction; legs are in the order in which they are executed.

    `best_single` is None where no pool exchanges the two tokens; `saving` is what the route is worth beyond it, in base
    units of the token bought.
    """

    legs: tuple[Leg, ...]
    best_single: SinglePool | None
    saving: int


class Quote(msgspec.Struct, frozen=True):
    """What a venue would pay now for a swap: base units out, after the venue's fee; and through which pools, if it says."""

    venue: str
    amount_out: int
    fee_bps: int
    route: Route | None = None


class SignedTransaction(msgspec.Struct, frozen=True):
    """A transaction that can be sent, and sent again: its signature is known before it leaves the house.

    `min_out` is in base units of the token bought; past `last_valid_height` the chain refuses it.
    """

    signature: str
    raw: bytes
    last_valid_height: int
    min_out: int


class Attempt(msgspec.Struct, frozen=True):
    """A stored transaction of an order, with the venue it goes to."""

    number: int
    venue: str
    transaction: SignedTransaction


class Order(msgspec.Struct, frozen=True):
    """An order in a worker's hands: where it stands, and the fence that its claim raised."""

    id: UUID
    request: OrderRequest
    status: Status
    sequence: int
    fence: int
    attempt: int  # number of the attempt under way, from 1
    quote: Quote | None = None  # the route chosen, from `building` on
    unresolved: Attempt | None = None  # the stored attempt whose fate is unknown, in `submitted`

    @property
    def swap(self) -> Swap:
        """What the venues are asked for at this attempt."""
        scenario = self.request.scenario
        if scenario is None:
            return self.request.swap
        return msgspec.structs.replace(self.request.swap, act=Act(scenario, self.attempt))


class OrderEvent(msgspec.Struct, frozen=True):
    """One step of an order as watchers see it; `data` is JSON, passed on byte for byte."""

    order_id: UUID
    sequence: int
    status: Status
    at: str  # ISO 8601, UTC, milliseconds
    data: msgspec.Raw
    position: int | None = None  # in the log of all orders; whoever appended the event does not learn it


class LogEntry(msgspec.Struct, frozen=True):
    """An event in the log of all orders, with whose it is; the first event of an order says what was asked for."""

    event: OrderEvent
    account: str
    wallet: str | None
    request: OrderRequest | None = None

    @property
    def position(self) -> int:
        assert self.event.position is not None
        return self.event.position


def first_id_at(moment: dt.datetime) -> UUID:
    """The least id that an order accepted in that millisecond can have."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def new_order_id() -> UUID:
    """A UUIDv7: unique, and sorted by the time it was made."""
    return uuid_utils.compat.uuid7()

"""What a transaction does when its turn comes: all of its route, for its minimum at least, or nothing."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from app.orders.failures import FailureCode
from app.orders.tokens import find_token
from app.venues.pools.quote import PoolError
from app.venues.simulated.exchange import Exchange
from app.venues.simulated.listings import LISTINGS, VENUES
from app.venues.simulated.market import MILLION
from app.venues.simulated.steering import next_price
from app.venues.simulated.transaction import RouteLeg, SwapMessage

# Searchers trade ahead of an order that they see coming, until a pool's price is 4 to 25 bps worse for it than it was
# at the start of the slot. Arbitrageurs bring it back when the slot is over.
LEAST_WORSE: Final = 400  # millionths
MOST_WORSE: Final = 2_500


class Outcome(StrEnum):
    CONFIRMED = "confirmed"
    FAILED = "failed"


class Landing(NamedTuple):
    outcome: Outcome
    amount_out: int | None = None
    failure_code: FailureCode | None = None


class Due(msgspec.Struct, frozen=True):
    """A transaction whose turn has come; amounts in base units."""

    signature: str
    order_id: UUID
    attempt: int
    mint_in: str
    mint_out: str
    amount_in: int
    min_out: int
    route: tuple[RouteLeg, ...]
    slot: int


def is_executable(message: SwapMessage) -> bool:
    """Whether the message names a venue, two tokens that exist, and legs that lead from the whole amount to the other."""
    known = message.venue in VENUES and find_token(message.mint_in) and find_token(message.mint_out)
    return bool(known) and message.mint_in != message.mint_out and _leads_there(message)


def land(exchange: Exchange, due: Due, failure_rate: float) -> Landing:
    """Executes it in the exchange's slot; paying exactly `min_out` is enough."""
    if exchange.market.draws.happens(failure_rate, "failure", due.order_id, due.attempt):
        return _failed(FailureCode.EXECUTION_FAILED)
    if any(leg.pool not in exchange.pools for leg in due.route):  # handed in when there was such a pool
        return _failed(FailureCode.EXECUTION_FAILED)
    trade_ahead(exchange, due)
    before = {leg.pool: exchange.pools[leg.pool] for leg in due.route}
    try:
        amount_out = execute(exchange, due)
    except PoolError:
        exchange.pools.update(before)
        return _failed(FailureCode.EXECUTION_FAILED)
    if amount_out < due.min_out:
        exchange.pools.update(before)
        return _failed(FailureCode.SLIPPAGE_EXCEEDED)
    return Landing(Outcome.CONFIRMED, amount_out)


def execute(exchange: Exchange, due: Due) -> int:
    """Base units of the token bought. Raises PoolError.

    Where legs bring more or less of a token than planned, it goes to those that sell it in the planned proportion, each
    part floored but the last.
    """
    held = {due.mint_in: due.amount_in}
    planned = Counter[str]()
    for leg in due.route:
        planned[leg.mint_in] += leg.amount_in
    for leg in due.route:
        part = held[leg.mint_in] * leg.amount_in // planned[leg.mint_in]
        held[leg.mint_in] -= part
        planned[leg.mint_in] -= leg.amount_in
        mint_out, a_to_b = _direction(leg)
        held[mint_out] = held.get(mint_out, 0) + exchange.swap(leg.pool, part, a_to_b)
    return held[due.mint_out]


def trade_ahead(exchange: Exchange, due: Due) -> None:
    """What searchers do before it; a way of two hops is made worse by half in each."""
    spread = MOST_WORSE - LEAST_WORSE + 1
    worse = LEAST_WORSE + exchange.market.draws.below(spread, "ahead", due.order_id, due.attempt)
    for leg in due.route:
        mint_out, a_to_b = _direction(leg)
        hops = 1 if (leg.mint_in, mint_out) == (due.mint_in, due.mint_out) else 2
        whole = 2 * hops * MILLION  # of the square root of the price
        entered = exchange.enter(leg.pool)[not a_to_b]
        target = entered * (whole - worse if a_to_b else whole + worse) // whole
        price = next_price(exchange.pools[leg.pool].state, a_to_b)
        if price > target if a_to_b else price < target:
            exchange.push(leg.pool, target)


def _direction(leg: RouteLeg) -> tuple[str, bool]:
    """The token that comes out, and whether A goes in."""
    listing = LISTINGS[leg.pool]
    a_to_b = leg.mint_in == listing.token_a.mint
    return (listing.token_b if a_to_b else listing.token_a).mint, a_to_b


def _leads_there(message: SwapMessage) -> bool:
    """Whether every leg sells what is there by then, all of it is sold, and in the end only the token bought is left."""
    brought, sold = {message.mint_in}, set[str]()
    for leg in message.route:
        listing = LISTINGS.get(leg.pool)
        if listing is None or leg.mint_in not in {listing.token_a.mint, listing.token_b.mint}:
            return False
        mint_out, _ = _direction(leg)
        if leg.mint_in not in brought or leg.mint_in == message.mint_out or mint_out in sold | {leg.mint_in}:
            return False
        brought.add(mint_out)
        sold.add(leg.mint_in)
    planned = sum(leg.amount_in for leg in message.route if leg.mint_in == message.mint_in)
    return planned == message.amount_in and brought - sold == {message.mint_out}


def _failed(code: FailureCode) -> Landing:
    return Landing(Outcome.FAILED, failure_code=code)

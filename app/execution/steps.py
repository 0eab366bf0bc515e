"""The steps of an order: route, build, submit and settle, or fail.

Each first makes something true in the ledger and then acts on it, so that whoever takes the order over, at any
line, finds all there is to know.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec

from app.errors import VenueError
from app.execution.settlement import Settlement, Verdict, settle
from app.orders.amounts import json_number, min_amount_out, price, whole_tokens
from app.orders.failures import Failure, FailureCode, FundsMoved, legible
from app.orders.lifecycle import Status
from app.orders.model import Attempt, Order, OrderEvent, Quote, SignedTransaction
from app.orders.retries import retry_delay_ms
from app.orders.routing import quote_view, ranked, route_view
from app.storage.ledger import Ledger
from app.storage.moves import Move, failing, storing
from app.venues.port import Choose, SwapOrder, Venue
from app.venues.router import QuoteRound, gather_quotes

QUOTE_SECONDS: Final = 2.0
BUILD_SECONDS: Final = 2.0
POISON_LIMIT: Final = 5  # workers that may die with an order before it is set aside


class Steps:
    """What the engine does with an order that it holds. Every step raises LostClaim when the order is held no more.

    `publish` is told of every event; `pause` waits that many seconds. It and `stop_here` raise HandedBack when the
    engine stops.
    """

    def __init__(
        self,
        ledger: Ledger,
        venues: Sequence[Venue],
        *,
        max_attempts: int,
        publish: Callable[[OrderEvent], None],
        pause: Callable[[float], Awaitable[None]],
        stop_here: Callable[[], None],
        choose: Choose,
    ) -> None:
        self._ledger = ledger
        self._venues = {venue.name: venue for venue in venues}
        self._max_attempts = max_attempts
        self._publish = publish
        self._pause = pause
        self._stop_here = stop_here
        self._choose = choose

    async def take(self, order: Order, deaths: int) -> None:
        """From where the order stands to where it rests."""
        if deaths >= POISON_LIMIT:
            await self._set_aside(order, deaths)
        elif order.status is Status.ROUTING:
            await self._route(order)
        elif order.status is Status.BUILDING:
            await self._build(order)
        else:
            await self._settle(order, may_send=True)

    async def _route(self, order: Order) -> None:
        swap = order.swap
        for token in (swap.token_in, swap.token_out):
            if not token.is_known:
                await self._fail(order, Failure(FailureCode.UNKNOWN_TOKEN, f"{token.symbol} is not traded"))
                return
        quotes = await gather_quotes(tuple(self._venues.values()), swap, QUOTE_SECONDS)
        if not quotes.quotes:
            await self._fail(order, quotes.failure())
            return
        self._stop_here()
        best = self._choose(swap, quotes.quotes)
        building = self._begin(
            order,
            Status.BUILDING,
            _building(order, best, quotes),
            venue=best.venue,
            fee_bps=best.fee_bps,
            quoted_out=best.amount_out,
        )
        await self._build(_moved(order, Status.BUILDING, quote=best), building)

    async def _build(self, order: Order, building: asyncio.Future[OrderEvent] | None = None) -> None:
        """Builds while the move to `building` is on its way: a transaction that is ready at once goes with it."""
        try:
            transaction = await self._transaction(order)
        except (VenueError, TimeoutError) as error:
            await self._arrive(building)
            message = str(error) or f"{_quote_of(order).venue} did not build the transaction in time"
            await self._fail(order, Failure(FailureCode.VENUE_UNAVAILABLE, message))
            return
        except BaseException:
            if building is not None:
                building.cancel()
            raise
        # From here on the signature is known to the ledger, whatever happens to this process.
        await self._store(order, transaction, building)
        attempt = Attempt(order.attempt, _quote_of(order).venue, transaction)
        await self._settle(_moved(order, Status.SUBMITTED, unresolved=attempt), may_send=True, is_fresh=True)

    async def _transaction(self, order: Order) -> SignedTransaction:
        """Raises VenueError or TimeoutError."""
        quote = _quote_of(order)
        min_out = min_amount_out(quote.amount_out, order.request.slippage_bps)
        venue = self._venue(quote.venue)
        async with asyncio.timeout(BUILD_SECONDS):
            return await venue.build(SwapOrder(order.id, order.attempt, order.swap, min_out), quote)

    async def _store(
        self, order: Order, transaction: SignedTransaction, building: asyncio.Future[OrderEvent] | None
    ) -> None:
        min_out = whole_tokens(transaction.min_out, order.request.swap.token_out)
        data = {
            "txHash": transaction.signature,
            "dex": _quote_of(order).venue,
            "minAmountOut": json_number(min_out),
            "attempt": order.attempt,
        }
        submitted = self._begin(order, Status.SUBMITTED, data, **storing(transaction))
        try:
            await self._arrive(building)
        except BaseException:
            submitted.cancel()
            raise
        await self._arrive(submitted)

    async def _settle(self, order: Order, *, may_send: bool, is_fresh: bool = False) -> None:
        attempt = order.unresolved
        assert attempt is not None
        settlement = await settle(
            self._venue(attempt.venue), attempt.transaction, self._pause, may_send=may_send, is_fresh=is_fresh
        )
        if settlement.verdict is Verdict.LANDED:
            await self._confirm(order, attempt, settlement.amount_out)
        elif not may_send:
            await self._fail(order, _poisoned(FundsMoved.NO), outcome=settlement.outcome)
        else:
            await self._fail(order, _failure_of(settlement), outcome=settlement.outcome)

    async def _confirm(self, order: Order, attempt: Attempt, amount_out: int) -> None:
        swap = order.request.swap
        executed = price(amount_out, swap.token_out, swap.amount_in, swap.token_in)
        data = {
            "txHash": attempt.transaction.signature,
            "dex": attempt.venue,
            "executedPrice": json_number(executed),
            "amountOut": json_number(whole_tokens(amount_out, swap.token_out)),
        }
        known = {"outcome": Verdict.LANDED.value, "amount_out": amount_out}
        await self._arrive(self._begin(order, Status.CONFIRMED, data, **known))

    async def _fail(self, order: Order, failure: Failure, *, outcome: str | None = None) -> None:
        """Ends the attempt: the next one is scheduled, or the order has failed."""
        failure = failure._replace(message=legible(failure.message))
        data: dict[str, Any] = {
            "code": failure.code,
            "message": failure.message,
            "retryable": failure.retryable,
            "fundsMoved": failure.funds_moved,
        }
        if failure.retryable and order.attempt < self._max_attempts:
            data |= {"attempt": order.attempt, "maxAttempts": self._max_attempts}
            delay_ms = retry_delay_ms(order.attempt, random.random())
            move = self._begin(order, Status.RETRYING, data, delay_ms=delay_ms, outcome=outcome)
        else:
            move = self._begin(order, Status.FAILED, data, outcome=outcome, **failing(failure))
        await self._arrive(move)

    async def _set_aside(self, order: Order, deaths: int) -> None:
        """Ends an order that keeps killing workers; one that may have landed is looked after first, but not sent."""
        if order.unresolved is None:
            await self._fail(order, _poisoned(FundsMoved.NO))
        elif deaths < 2 * POISON_LIMIT:
            await self._settle(order, may_send=False)
        else:  # even looking kills: the attempt stays unresolved for whoever investigates
            await self._fail(order, _poisoned(FundsMoved.UNKNOWN))

    def _begin(
        self, order: Order, target: Status, data: dict[str, Any], **known: Any
    ) -> asyncio.Future[OrderEvent]:
        """Begins to move the order in the ledger; `known` is what the move makes known."""
        return self._ledger.move(Move(order.id, order.fence, order.status, target, data, **known))

    async def _arrive(self, move: asyncio.Future[OrderEvent] | None) -> None:
        if move is not None:
            self._publish(await move)

    def _venue(self, name: str) -> Venue:
        venue = self._venues.get(name)
        if venue is None:
            raise VenueError(f"venue {name} is not configured")
        return venue


def _moved(order: Order, status: Status, **known: Any) -> Order:
    return msgspec.structs.replace(order, status=status, sequence=order.sequence + 1, **known)


def _quote_of(order: Order) -> Quote:
    assert order.quote is not None
    return order.quote


def _building(order: Order, best: Quote, quotes: QuoteRound) -> dict[str, Any]:
    """The event that shows the choice: every quote, best first, and who did not answer."""
    swap = order.request.swap
    data: dict[str, Any] = {
        "dex": best.venue,
        "quotes": [quote_view(quote, swap) for quote in ranked(quotes.quotes)],
        "attempt": order.attempt,
    }
    if best.route is not None:
        data["route"] = route_view(best.route, swap)
    if quotes.refusals:
        data["unavailable"] = [
            {"dex": r.venue, "code": r.code, "message": legible(r.message)} for r in quotes.refusals
        ]
    return data


def _failure_of(settlement: Settlement) -> Failure:
    assert settlement.failure is not None
    return settlement.failure


def _poisoned(funds_moved: FundsMoved) -> Failure:
    return Failure(
        FailureCode.POISONED, "set aside: workers kept dying while they held the order", funds_moved
    )

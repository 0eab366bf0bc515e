"""How others do it: three protocols that look right, and must not survive the sweep; and guards taken away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeAlias

from app.execution.settlement import Verdict
from app.execution.steps import Steps
from app.orders.failures import Failure, FailureCode
from app.orders.model import Order, SignedTransaction
from app.venues.port import TxStatus, Venue
from app.venues.simulated.chain import UNKNOWN

Look: TypeAlias = Callable[[Venue, SignedTransaction], Awaitable[tuple[TxStatus | None, bool]]]


class Protocol(NamedTuple):
    """What takes the place of the engine's own; None: nothing does."""

    steps: type[Steps] | None = None
    look: Look | None = None


class SignsAnewOnTimeout(Steps):
    """An answer that does not come is taken for a no."""

    async def _settle(self, order: Order, *, may_send: bool, is_fresh: bool = False) -> None:
        attempt = order.unresolved
        assert attempt is not None
        if is_fresh:
            try:
                await self._venue(attempt.venue).submit(attempt.transaction)
            except TimeoutError:
                dropped = Failure(FailureCode.TRANSACTION_DROPPED, "no answer")
                await self._fail(order, dropped, outcome=Verdict.FAILED.value)
                return
        await super()._settle(order, may_send=may_send, is_fresh=is_fresh)


async def look_without_margin(venue: Venue, transaction: SignedTransaction) -> tuple[TxStatus | None, bool]:
    """In its last block a transaction is given up, and nobody asks what became of it."""
    if await venue.height() >= transaction.last_valid_height:
        return UNKNOWN, True
    return await venue.status(transaction.signature), False

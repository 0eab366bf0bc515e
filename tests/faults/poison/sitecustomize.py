"""Python runs this first when its folder is on the path: one certain order kills the worker that comes to a certain step.

POISON is the amount that the order sells, in base units; POISON_AT is the step: `build`, before a transaction exists;
`submit`, before it leaves; `sent`, when it has left; or `look`, whenever somebody wants to know what became of it.
"""

from __future__ import annotations

import os
import signal
from typing import Final

from app.execution import settlement
from app.orders.model import Quote, SignedTransaction
from app.venues.port import SwapOrder, TxStatus, Venue
from app.venues.simulated.transaction import read
from app.venues.simulated.venue import SimulatedVenue

POISON: Final = int(os.environ.get("POISON", "0"))
POISON_AT: Final = os.environ.get("POISON_AT", "build")

_build = SimulatedVenue.build
_submit = SimulatedVenue.submit
_look = settlement._look


def _die_at(step: str, amount: int) -> None:
    if step == POISON_AT and amount == POISON:
        os.kill(os.getpid(), signal.SIGKILL)


def _amount(transaction: SignedTransaction) -> int:
    message = read(transaction)
    assert message is not None
    return message.amount_in


async def _deadly_build(self: SimulatedVenue, order: SwapOrder, quote: Quote) -> SignedTransaction:
    _die_at("build", order.swap.amount_in)
    return await _build(self, order, quote)


async def _deadly_submit(self: SimulatedVenue, transaction: SignedTransaction) -> None:
    _die_at("submit", _amount(transaction))
    await _submit(self, transaction)
    _die_at("sent", _amount(transaction))


async def _deadly_look(venue: Venue, transaction: SignedTransaction) -> tuple[TxStatus | None, bool]:
    _die_at("look", _amount(transaction))
    return await _look(venue, transaction)


SimulatedVenue.build = _deadly_build  # type: ignore[method-assign]
SimulatedVenue.submit = _deadly_submit  # type: ignore[method-assign]
settlement._look = _deadly_look

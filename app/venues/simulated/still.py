"""The market at one moment, for scenarios: it stands still, so that the same question always has the same answer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Final

from app.orders.model import Quote, Swap
from app.venues.simulated.board import Board, Desk
from app.venues.simulated.exchange import Exchange
from app.venues.simulated.market import Market

STILL_SLOT: Final = 0


class StillMarket:
    """Quotes and choices as of STILL_SLOT, before anybody traded; nothing is computed before the first scenario."""

    def __init__(self, market: Market) -> None:
        self._market = market

    def quote(self, venue: str, swap: Swap) -> Quote:
        """What the venue would pay. Raises Unfillable."""
        return Board(self._exchange).quote(venue, swap)

    def choose(self, swap: Swap, quotes: Sequence[Quote]) -> Quote:
        desk = Desk()
        desk.board(self._exchange)
        return desk.choose(swap, quotes)

    @cached_property
    def _exchange(self) -> Exchange:
        exchange = Exchange(self._market)
        exchange.roll(STILL_SLOT)
        return exchange

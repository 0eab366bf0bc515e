"""The simulated market's mid prices, for charts."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence
from decimal import Context, Decimal
from typing import Final

from app.orders.tokens import Token
from app.settings import Settings
from app.venues.port import PriceHistory
from app.venues.simulated.market import SLOT_MS, Market

_PRICE: Final = Context(prec=12)


class SimulatedPrices:
    """The price of a pair is the ratio of its tokens' prices in USD, so that triangles agree."""

    def __init__(self, market: Market) -> None:
        self._market = market

    async def mid_prices(
        self, token_in: Token, token_out: Token, times: Sequence[dt.datetime]
    ) -> list[Decimal]:
        slots = [int(time.timestamp() * 1000) // SLOT_MS for time in times]
        # A hundred of them take some 20 ms to compute: the loop has others to serve meanwhile.
        return await asyncio.to_thread(lambda: [self._price(token_in, token_out, slot) for slot in slots])

    def _price(self, token_in: Token, token_out: Token, slot: int) -> Decimal:
        sold, bought = (Decimal(self._market.mid(token, slot)) for token in (token_in, token_out))
        return _PRICE.divide(sold, bought)


def simulated_prices(settings: Settings) -> PriceHistory:
    """Those of the market that the simulated venues trade in."""
    return SimulatedPrices(Market(settings.mock_dex_seed))

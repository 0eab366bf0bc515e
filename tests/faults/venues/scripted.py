"""The simulated venues over the simulated chain, reached on a way where things go wrong."""

from __future__ import annotations

import asyncio

from app.orders.model import Quote, SignedTransaction, Swap
from app.venues.port import SwapOrder, TxStatus, Venues
from app.venues.simulated.board import Desk
from app.venues.simulated.chain import Chain
from app.venues.simulated.listings import VENUES
from app.venues.simulated.venue import SimulatedVenue
from tests.faults.venues.troubles import Way


class ScriptedVenue:
    """A venue whose every call and every answer travels: there is an await before and after it."""

    def __init__(self, venue: SimulatedVenue, chain: Chain, way: Way) -> None:
        self.name = venue.name
        self._venue = venue
        self._chain = chain
        self._way = way

    async def quote(self, swap: Swap) -> Quote:
        await self._way.reach(self.name, "quote")
        return await self._venue.quote(swap)

    async def build(self, order: SwapOrder, quote: Quote) -> SignedTransaction:
        await self._way.reach(self.name, "build")
        return await self._venue.build(order, quote)

    async def submit(self, transaction: SignedTransaction) -> None:
        await self._way.reach(self.name, "submit")
        await self._way.send(self._chain, transaction)
        await asyncio.sleep(0)

    async def status(self, signature: str) -> TxStatus:
        await self._way.reach(self.name, "status")
        return await self._way.status(self._chain, signature)

    async def height(self) -> int:
        await self._way.reach(self.name, "height")
        return await self._way.height(self._chain)


def scripted_venues(chain: Chain, way: Way) -> Venues:
    desk = Desk()
    venues = (
        SimulatedVenue(name, chain, desk, quote_delay_ms=0, validity_blocks=way.trouble.validity)
        for name in VENUES
    )
    return Venues(tuple(ScriptedVenue(venue, chain, way) for venue in venues), desk.choose)

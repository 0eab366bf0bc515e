"""Raydium and Meteora, simulated: the venue port over the simulated market and its chain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from app.errors import QuoteUnavailable
from app.orders.model import Quote, Route, SignedTransaction, Swap
from app.settings import Settings
from app.venues.port import SwapOrder, TxStatus, Venues
from app.venues.simulated.board import Desk
from app.venues.simulated.chain import Chain, ChainUnreachable
from app.venues.simulated.listings import VENUES
from app.venues.simulated.market import Market
from app.venues.simulated.scenarios import ScenarioVenue, choosing
from app.venues.simulated.stage import Stage
from app.venues.simulated.still import StillMarket
from app.venues.simulated.transaction import RouteLeg, SwapMessage, sign

VALIDITY_BLOCKS: Final = 150  # as on Solana; a minute of 400 ms slots


class SimulatedVenue:
    """One venue of the simulated market."""

    def __init__(
        self,
        name: str,
        chain: Chain,
        desk: Desk,
        *,
        quote_delay_ms: int,
        validity_blocks: int = VALIDITY_BLOCKS,
    ) -> None:
        self.name = name
        self._chain = chain
        self._desk = desk
        self._quote_delay = quote_delay_ms / 1000
        self._validity_blocks = validity_blocks

    async def quote(self, swap: Swap) -> Quote:
        """What the pools pay as they are when the answer leaves, or were a slot before."""
        await asyncio.sleep(self._quote_delay)
        try:
            pools = await self._chain.pools()
        except ChainUnreachable as error:
            raise QuoteUnavailable(str(error)) from error
        return self._desk.board(pools).quote(self.name, swap)

    async def build(self, order: SwapOrder, quote: Quote) -> SignedTransaction:
        """The order as a signed transaction; the same order and quote at the same height give the same bytes.

        A quote that has come without its route, for it was made by another process, gets a new one.
        """
        height = await self._chain.height()
        route = quote.route or await self._route(order.swap)
        message = SwapMessage(
            seed=str(self._chain.market.seed),
            order_id=order.id,
            attempt=order.attempt,
            venue=quote.venue,
            mint_in=order.swap.token_in.mint,
            mint_out=order.swap.token_out.mint,
            amount_in=order.swap.amount_in,
            min_out=order.min_out,
            last_valid_height=height + self._validity_blocks,
            route=tuple(RouteLeg(leg.pool, leg.token_in.mint, leg.amount_in) for leg in route.legs),
        )
        return sign(message)

    async def submit(self, transaction: SignedTransaction) -> None:
        await self._chain.submit(transaction)

    async def status(self, signature: str) -> TxStatus:
        return await self._chain.status(signature)

    async def height(self) -> int:
        return await self._chain.height()

    async def _route(self, swap: Swap) -> Route:
        best = self._desk.board(await self._chain.pools()).best(VENUES, swap)
        assert best.route is not None
        return best.route


@asynccontextmanager
async def open_simulated_venues(settings: Settings, conninfo: str) -> AsyncIterator[Venues]:
    """Every simulated venue over one market and one chain, for as long as the context lasts."""
    market = Market(settings.mock_dex_seed)
    execution_delay_ms, quote_delay_ms = (
        settings.mock_dex_execution_delay_ms,
        settings.mock_dex_quote_delay_ms,
    )
    chain = Chain(
        market,
        conninfo,
        execution_delay_ms=execution_delay_ms,
        failure_rate=settings.mock_dex_failure_rate,
        slot_ms=settings.mock_dex_slot_ms,
    )
    desk, still = Desk(), StillMarket(market)
    async with chain, Stage(conninfo, seed=market.seed, execution_delay_ms=execution_delay_ms) as stage:
        venues = tuple(
            ScenarioVenue(
                SimulatedVenue(name, chain, desk, quote_delay_ms=quote_delay_ms),
                stage,
                still.quote,
                quote_delay_ms=quote_delay_ms,
            )
            for name in VENUES
        )
        yield Venues(venues, choosing(desk.choose, still.choose))

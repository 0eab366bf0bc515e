"""Scenarios acted out: a wrapper around simulated venues, for orders that say what is to happen to them.

The market stands still for them, so that one seed and one scenario make one list of events. What is to happen is in a
transaction's bytes, so that whoever takes the order over goes on with the same play. The port's promises hold: what was
said never to land does not, and nothing lands past its last valid height.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeAlias

from app.errors import QuoteUnavailable, SubmissionRejected
from app.orders.model import Quote, SignedTransaction, Swap
from app.orders.scenarios import Act, Scenario
from app.venues.port import Choose, SwapOrder, TxStatus, Venue
from app.venues.simulated.script import MARK, Script, is_script, read_script, signed
from app.venues.simulated.stage import Stage

USUAL_BLOCKS: Final = 150  # in which a transaction can land
BLOCKS: Final = {Scenario.LANDED_LATE: 8, Scenario.EXPIRED: 1}  # a test is not to take a minute
DOWN_AT_FIRST: Final = "raydium"  # in a partial outage

StillQuote: TypeAlias = Callable[[str, Swap], Quote]  # what a venue pays while the market stands still


def choosing(usual: Choose, still: Choose) -> Choose:
    """The choice among the quotes for an order that has a scenario, or has none."""
    return lambda swap, quotes: (usual if swap.act is None else still)(swap, quotes)


class ScenarioVenue:
    """A venue that does what a scenario says, for orders that have one; for all others it is the venue itself."""

    def __init__(self, venue: Venue, stage: Stage, still_quote: StillQuote, *, quote_delay_ms: int) -> None:
        self._venue = venue
        self._stage = stage
        self._still_quote = still_quote
        self._quote_delay = quote_delay_ms / 1000

    @property
    def name(self) -> str:
        return self._venue.name

    async def quote(self, swap: Swap) -> Quote:
        if swap.act is None:
            return await self._venue.quote(swap)
        await asyncio.sleep(self._quote_delay)
        match swap.act:
            case Act(scenario=Scenario.QUOTE_TIMEOUT):
                raise TimeoutError
            case Act(scenario=Scenario.VENUE_DOWN):
                raise QuoteUnavailable("The venue is down.")
            case Act(scenario=Scenario.PARTIAL_OUTAGE_RECOVERS, attempt=1) if self.name == DOWN_AT_FIRST:
                raise QuoteUnavailable("The venue is down.")
        return self._still_quote(self.name, swap)

    async def build(self, order: SwapOrder, quote: Quote) -> SignedTransaction:
        swap = order.swap
        if swap.act is None:
            return await self._venue.build(order, quote)
        height = await self._venue.height()
        return signed(
            Script(
                act=swap.act,
                seed=self._stage.seed,
                order_id=order.id,
                venue=quote.venue,
                mint_in=swap.token_in.mint,
                mint_out=swap.token_out.mint,
                amount_in=swap.amount_in,
                min_out=order.min_out,
                last_valid_height=height + BLOCKS.get(swap.act.scenario, USUAL_BLOCKS),
                pays=quote.amount_out,
            )
        )

    async def submit(self, transaction: SignedTransaction) -> None:
        if not is_script(transaction):
            await self._venue.submit(transaction)
            return
        script = read_script(transaction)
        if script is None:
            raise SubmissionRejected("The transaction cannot be executed: its bytes are not valid.")
        match script.act:
            case Act(scenario=Scenario.DROPPED) | Act(scenario=Scenario.PARTIAL_OUTAGE_RECOVERS, attempt=1):
                raise SubmissionRejected("The venue dropped the transaction.")
            case Act(scenario=Scenario.EXPIRED):
                return  # lost on its way, however often it is sent
        await self._stage.play(script)
        if script.act.scenario is Scenario.REPLY_LOST_BUT_LANDED:
            raise TimeoutError

    async def status(self, signature: str) -> TxStatus:
        if signature.startswith(MARK):
            return await self._stage.fate(signature)
        return await self._venue.status(signature)

    async def height(self) -> int:
        return await self._venue.height()

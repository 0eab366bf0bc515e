"""What can go wrong between the engine and a chain, and the orders' way there on which it does."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress
from typing import Final, NamedTuple

from app.errors import SubmissionRejected, VenueError
from app.orders.model import SignedTransaction
from app.venues.port import TxState, TxStatus
from app.venues.simulated.chain import UNKNOWN, Chain
from tests.faults.venues.process import outside

LONG: Final = 150  # blocks: nothing expires while a test runs
SHORT: Final = 1  # 0.4 to 0.8 s
LAST_MOMENT: Final = 0.15  # seconds before the end of the last block, when nobody asks
LOOK: Final = 0.01
OLD_HEIGHTS: Final = 40  # then the node has caught up, even if nothing ever landed


class Trouble(NamedTuple):
    """A venue's fault. Counted, not timed, wherever it can be: the same on a slow machine.

    The order's first transactions are affected, the later ones not: the engine has to get there.
    """

    name: str
    validity: int = LONG  # blocks in which a transaction can land
    lost_replies: int = 0  # submissions that arrive, though the client gets a time-out
    dropped: int = 0  # transactions that are accepted and forgotten, however often they are sent
    late: int = 0  # … that land in the last block, between a question and its answer
    expired: int = 0  # … that reach the chain when it is too late
    lag: int = 0  # questions that are still answered `unknown` when it has landed
    is_behind: bool = False  # the node that lags says an old height, too
    down: tuple[str, ...] = ()  # venues
    outage: int = 0  # calls of each kind that fail while they are down


RAYDIUM: Final = "raydium"
METEORA: Final = "meteora"

TROUBLES: Final = {
    trouble.name: trouble
    for trouble in (
        Trouble("reply lost", lost_replies=2),
        Trouble("landed late", SHORT, late=1),
        Trouble("landed late, reply lost", SHORT, late=1, lost_replies=2),
        Trouble("dropped", SHORT, dropped=1),
        Trouble("status lagging", lag=5),
        Trouble("status and height lagging", SHORT, lag=10, is_behind=True),
        Trouble("expired", SHORT, expired=1),
        Trouble("both venues down", down=(RAYDIUM, METEORA), outage=2),
        Trouble("one venue down", down=(RAYDIUM,), outage=6),
    )
}


class Way:
    """The way of one order's transactions to the chain; it outlives the processes that use it."""

    def __init__(self, trouble: Trouble, chance: random.Random) -> None:
        self.trouble = trouble
        self.happened: Counter[str] = Counter()
        self._chance = chance
        self._seen: dict[str, SignedTransaction] = {}
        self._held: dict[
            str, asyncio.Event
        ] = {}  # transactions on their way; set when somebody asks at the end
        self._deliveries: list[asyncio.Task[None]] = []

    async def send(self, chain: Chain, transaction: SignedTransaction) -> None:
        """Takes a transaction. Raises TimeoutError when the answer is lost, and what the chain raises."""
        trouble, signature = self.trouble, transaction.signature
        self._seen.setdefault(signature, transaction)
        number = list(self._seen).index(signature)
        if number < trouble.dropped:
            self.happened["dropped"] += 1
        elif number < trouble.late + trouble.expired:
            self._hold(chain, transaction)
        else:
            await chain.submit(transaction)
        if self.happened["replies lost"] < trouble.lost_replies:
            self.happened["replies lost"] += 1
            raise TimeoutError

    async def status(self, chain: Chain, signature: str) -> TxStatus:
        asked = self._held.get(signature)
        last = self._seen[signature].last_valid_height if signature in self._seen else 0
        if asked is not None and await chain.height() == last:
            # The question was there before the transaction; the answer comes when the block has passed.
            asked.set()
            await _until_past(chain, last)
            return UNKNOWN
        status = await chain.status(signature)
        if status.state is TxState.CONFIRMED and self._lags:
            self.happened["answers that lagged"] += 1
            return UNKNOWN
        return status

    async def height(self, chain: Chain) -> int:
        """The chain's height; of a node that lags, never past a transaction that it does not know to have landed."""
        height = await chain.height()
        if not (self.trouble.is_behind and self._lags and self._seen):
            return height
        seen = tuple(self._seen.values())
        hidden = [tx for tx in seen if (await chain.status(tx.signature)).state is TxState.CONFIRMED]
        if not hidden:
            if self.happened["old heights"] >= OLD_HEIGHTS:
                return height
            self.happened["old heights"] += 1
        return min(height, *(transaction.last_valid_height for transaction in hidden or seen))

    async def reach(self, venue: str, call: str) -> None:
        """Raises what a client of the venue raises while that is down."""
        await asyncio.sleep(0)
        key = f"{venue} {call} down"
        if venue in self.trouble.down and self.happened[key] < self.trouble.outage:
            self.happened[key] += 1
            errors = [TimeoutError(), VenueError("down"), ConnectionResetError("reset"), RuntimeError("odd")]
            raise self._chance.choice(errors[: 2 if call in ("quote", "build") else 4])

    async def close(self) -> None:
        for task in self._deliveries:
            task.cancel()
        await asyncio.gather(*self._deliveries, return_exceptions=True)

    @property
    def _lags(self) -> bool:
        return self.happened["answers that lagged"] < self.trouble.lag

    def _hold(self, chain: Chain, transaction: SignedTransaction) -> None:
        signature = transaction.signature
        if signature not in self._held:
            self._held[signature] = asyncio.Event()
            self._deliveries.append(outside(self._deliver(chain, transaction, self._held[signature])))

    async def _deliver(self, chain: Chain, transaction: SignedTransaction, asked: asyncio.Event) -> None:
        last = transaction.last_valid_height
        if self.trouble.expired:
            await _until_past(chain, last)
        else:
            await _until_past(chain, last - 1)
            with suppress(TimeoutError):
                await asyncio.wait_for(asked.wait(), LAST_MOMENT)
        try:
            await chain.submit(transaction)
            self.happened["landed late"] += 1
        except SubmissionRejected:
            self.happened["too late"] += 1
        del self._held[transaction.signature]


async def _until_past(chain: Chain, height: int) -> None:
    while await chain.height() <= height:  # noqa: ASYNC110  # the chain's clock tells nobody
        await asyncio.sleep(LOOK)

"""The simulated chain: receives transactions, lands each once or never, slot by slot, and remembers what landed.

It lives in the Postgres schema `simulated_chain`, in statements of their own on a connection of its own. There is no
process that runs it: whoever asks it anything lands what is due first, if nobody else is at it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from app.errors import StorageUnavailable, SubmissionRejected, VenueError
from app.orders.failures import RULES, Failure, FailureCode
from app.orders.model import SignedTransaction
from app.storage.database import Connection
from app.storage.group_commit import GroupCommit
from app.storage.laned import Laned
from app.venues.port import TxState, TxStatus
from app.venues.simulated.clock import ChainClock
from app.venues.simulated.exchange import Exchange
from app.venues.simulated.landing import is_executable, land
from app.venues.simulated.market import SLOT_MS, Market
from app.venues.simulated.records import (
    MOST_AT_ONCE,
    NOTHING_HELD,
    Known,
    MarketRow,
    Question,
    Records,
    Served,
    Taken,
)
from app.venues.simulated.transaction import SwapMessage, read


class ChainUnreachable(VenueError):  # noqa: N818  # reads as what it is
    """The chain did not answer: what was asked of it may or may not have happened."""


class Submission(msgspec.Struct, frozen=True):
    """A transaction handed in; no message when its bytes make no sense."""

    signature: str
    message: SwapMessage | None


class Inquiry(msgspec.Struct, frozen=True):
    """The question what became of a signature."""

    signature: str


class ClockReading(msgspec.Struct, frozen=True):
    """The question what time it is on the chain; every batch brings the answer along."""


class PoolsReading(msgspec.Struct, frozen=True):
    """The question how the pools are; no answer while something is due that somebody else is landing."""


Operation: TypeAlias = Submission | Inquiry | ClockReading | PoolsReading

UNKNOWN: Final = TxStatus(TxState.UNKNOWN)
A_LANDING: Final = 0.005  # seconds that it takes, about


class Chain(Laned):
    """One process's way to the chain: everything asked at the same time travels in one statement."""

    def __init__(
        self, market: Market, conninfo: str, *, execution_delay_ms: int, failure_rate: float, slot_ms: int
    ) -> None:
        self.market = market
        self._records = Records(market, execution_delay_ms, slot_ms)
        self._has_slots = slot_ms > 0
        self._failure_rate = failure_rate
        self._clock = ChainClock()
        self._version = NOTHING_HELD
        self._held = Exchange(market)  # after the last landing that this process knows of: that version
        self._seen: Exchange | None = None  # that version of it at the time of the last reading
        self._seen_version = NOTHING_HELD
        self._connection: Connection | None = None  # over which all of this came
        self._landed: Mapping[str, Known] = {}  # what this process has landed last: it is asked about next
        self._lane = GroupCommit[Operation, Any]("simulated chain", conninfo, self._serve)

    async def submit(self, transaction: SignedTransaction) -> None:
        """Hand in a transaction; one that was seen before stays as it is.

        Raises SubmissionRejected when it never lands, VenueError when that is not certain.
        """
        message = read(transaction)
        executable = message if message is not None and is_executable(message) else None
        await self._ask(Submission(transaction.signature, executable))

    async def status(self, signature: str) -> TxStatus:
        """What became of the signature; unknown until it has landed. Raises ChainUnreachable."""
        if (known := self._landed.get(signature)) is not None:
            return _status(known)
        status: TxStatus = await self._ask(Inquiry(signature))
        return status

    async def height(self) -> int:
        """The block height, never ahead of what the chain itself judges by. Raises ChainUnreachable."""
        height = self._clock.height()
        if height is None:
            height = int(await self._ask(ClockReading()))
        return height

    async def pools(self) -> Exchange:
        """The pools, as they were at most a slot ago; not to be traded in. Raises ChainUnreachable."""
        height = self._clock.height()
        if self._seen is not None and height is not None and self._seen.slot >= height:
            return self._seen
        while (seen := await self._ask(PoolsReading())) is None:  # noqa: ASYNC110  # happens in the database
            await asyncio.sleep(A_LANDING)
        pools: Exchange = seen
        return pools

    async def _ask(self, operation: Operation) -> Any:
        try:
            return await self._lane.submit(operation)
        except StorageUnavailable as error:
            raise ChainUnreachable("The simulated chain cannot be reached.") from error

    async def _serve(self, connection: Connection, operations: Sequence[Operation]) -> Sequence[Any]:
        if connection is not self._connection:
            # Another server may not have the last landings (a failover), and others may have made that version since.
            self._connection, self._version, self._landed = connection, NOTHING_HELD, {}
        served = await self._records.serve(connection, _question(operations), self._version)
        self._observe(served)
        taken, is_behind = served.taken, served.is_due
        if served.is_due and self._has_slots:
            taken = await self._records.take_due(connection, self._version)
        known = dict(served.known)
        if taken is not None:
            self._landed = await self._land(connection, taken)
            known |= self._landed
            is_behind = len(taken.due) == MOST_AT_ONCE
        if served.wants_pools and self._version != NOTHING_HELD:
            self._look(served.now_ms)
        seen = None if self._version == NOTHING_HELD or (is_behind and self._has_slots) else self._seen
        return [_answer(operation, known, served.now_ms, seen) for operation in operations]

    def _observe(self, served: Served) -> None:
        if served.is_stopped:
            self._clock.forget()
        else:
            self._clock.observe(served.now_ms)
        if served.market is not None:
            self._hold(served.market)

    def _hold(self, market: MarketRow) -> None:
        if market.pools is not None:
            self._held, self._version = self._records.exchange(market), market.version

    async def _land(self, connection: Connection, taken: Taken) -> Mapping[str, Known]:
        """Executes what is due, as of the slot in which it lands; what became known by it."""
        self._hold(taken.market)
        exchange = self._held.copy()
        exchange.changed |= self._held.changed  # pools that are new
        landings = {}
        for due in taken.due:
            exchange.roll(due.slot)
            landings[due.signature] = land(exchange, due, self._failure_rate)
        if not await self._records.land(connection, self._version, exchange, landings):
            self._version = NOTHING_HELD
            return {}
        self._held = exchange.copy()
        self._version += 1
        return {signature: Known(signature, *landing) for signature, landing in landings.items()}

    def _look(self, now_ms: int) -> None:
        """Takes what the process holds to this time, unless that has been done already."""
        slot = now_ms // SLOT_MS
        if self._seen is None or self._seen_version != self._version or self._seen.slot < slot:
            seen = self._held if self._seen is None or self._seen_version != self._version else self._seen
            self._seen, self._seen_version = seen.copy(), self._version
            self._seen.roll(slot)


def _question(operations: Sequence[Operation]) -> Question:
    sent, asked, wants_pools = {}, [], False
    for operation in operations:
        match operation:
            case Submission(signature=signature, message=SwapMessage() as message):
                sent[signature] = message
            case Submission(signature=signature) | Inquiry(signature=signature):
                asked.append(signature)
            case PoolsReading():
                wants_pools = True
    return Question(sent, asked, wants_pools)


def _answer(operation: Operation, known: Mapping[str, Known], now_ms: int, seen: Exchange | None) -> Any:
    match operation:
        case Submission(signature=signature, message=message):
            return _receipt(known.get(signature), message)
        case Inquiry(signature=signature):
            return _status(known.get(signature))
        case ClockReading():
            return now_ms // SLOT_MS
        case PoolsReading():
            return seen


def _receipt(known: Known | None, message: SwapMessage | None) -> Exception | None:
    """What was seen before is judged no more: it may have landed."""
    match known:
        case Known(state="contested"):
            return VenueError("The transaction is just being handed in by somebody else.")
        case Known(state="late"):
            return SubmissionRejected("The transaction is past its last valid block height.")
        case None if message is None:
            return SubmissionRejected("The transaction cannot be executed: its bytes are not valid.")
        case _:
            return None


def _status(known: Known | None) -> TxStatus:
    match known:
        case Known(state="confirmed", amount_out=amount_out):
            return TxStatus(TxState.CONFIRMED, amount_out=amount_out)
        case Known(state="failed", failure_code=failure_code):
            assert failure_code is not None
            code = FailureCode(failure_code)
            return TxStatus(TxState.FAILED, failure=Failure(code, RULES[code].meaning))
        case Known(state="contested" | "due"):
            # Being received or landed at this moment: "unknown" would let it be given up while it lands.
            return TxStatus(TxState.PROCESSED)
        case _:
            return UNKNOWN

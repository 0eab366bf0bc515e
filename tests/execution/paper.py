"""Venues on paper: the port over a chain in memory, of which a test decides every answer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TypeVar
from uuid import UUID

from app.errors import SubmissionRejected
from app.orders.failures import Failure, FailureCode
from app.orders.model import Quote, SignedTransaction, Swap
from app.venues.port import SwapOrder, TxState, TxStatus

Answer = TypeVar("Answer")

VALIDITY = 10  # blocks
PAID = 204_000_000  # base units that a landed swap pays


class Fate(StrEnum):
    LAND = "land"
    FAIL = "fail"  # recorded as failed, nothing exchanged
    SLIP = "slip"  # the same, because the price moved
    REJECT = "reject"  # refused on arrival, for good
    VANISH = "vanish"  # taken and forgotten: the same bytes may come again
    LINGER = "linger"  # taken; lands when the test says so


class Stage:
    """Counts the moments before and after every call to the outside; at one of them the process may end.

    One that is killed does nothing any more; one that is stopped, and not patiently, may still clean up.
    """

    def __init__(self, end_at: int = 0, *, is_killed: bool = True) -> None:
        self.end_at = end_at
        self.is_killed = is_killed
        self.moments: list[str] = []
        self.has_ended = False
        self.on_end: Callable[[], object] = lambda: None

    async def reach(self, moment: str) -> None:
        self.moments.append(moment)
        if len(self.moments) == self.end_at:
            self.has_ended = True
            self.on_end()
        if self.has_ended:
            await (
                asyncio.get_running_loop().create_future()
            )  # until it is cancelled: nothing happens any more


class PaperChain:
    """Lands a signature once, refuses it when it is late, and remembers which orders were filled."""

    def __init__(self) -> None:
        self.block = 100
        self.fates: deque[Fate] = deque()  # of the transactions to come; LAND when there are none
        self.landed: list[UUID] = []
        self.received: list[bytes] = []
        self.before_answer: Callable[[str], object] = lambda _question: None
        self._statuses: dict[str, TxStatus] = {}
        self._lingering: dict[str, UUID] = {}
        self._signed = 0

    def sign(self, order: SwapOrder) -> SignedTransaction:
        """Another transaction each time, as a real one has another block hash."""
        self._signed += 1
        signature = f"{order.id}/{order.attempt}/{self._signed}"
        return SignedTransaction(signature, signature.encode(), self.block + VALIDITY, order.min_out)

    def receive(self, transaction: SignedTransaction) -> None:
        signature = transaction.signature
        self.received.append(transaction.raw)
        if signature in self._statuses or signature in self._lingering:
            return
        if self.block > transaction.last_valid_height:
            raise SubmissionRejected("too late")
        order_id = UUID(signature.partition("/")[0])
        match self.fates.popleft() if self.fates else Fate.LAND:
            case Fate.LAND:
                self._land(signature, order_id)
            case Fate.FAIL:
                self._fail(signature, FailureCode.EXECUTION_FAILED)
            case Fate.SLIP:
                self._fail(signature, FailureCode.SLIPPAGE_EXCEEDED)
            case Fate.REJECT:
                raise SubmissionRejected("no such pool")
            case Fate.LINGER:
                self._lingering[signature] = order_id
            case Fate.VANISH:
                pass

    def land_what_lingers(self) -> None:
        for signature, order_id in self._lingering.items():
            self._land(signature, order_id)
        self._lingering.clear()

    def expire(self) -> None:
        """Everything signed so far is too late from now on."""
        self.block += VALIDITY + 1
        self._lingering.clear()

    def status(self, signature: str) -> TxStatus:
        return self._statuses.get(signature, TxStatus(TxState.UNKNOWN))

    def _land(self, signature: str, order_id: UUID) -> None:
        self.landed.append(order_id)
        self._statuses[signature] = TxStatus(TxState.CONFIRMED, amount_out=PAID)

    def _fail(self, signature: str, code: FailureCode) -> None:
        self._statuses[signature] = TxStatus(TxState.FAILED, failure=Failure(code, "it failed on chain"))


class PaperVenue:
    """A venue that quotes a fixed amount.

    `errors` has what the next calls of a method raise instead of answering; `lost_replies` what they raise afterwards.
    """

    def __init__(
        self, name: str, chain: PaperChain, amount_out: int, fee_bps: int, stage: Stage | None = None
    ) -> None:
        self.name = name
        self.chain = chain
        self.amount_out = amount_out
        self.fee_bps = fee_bps
        self.stage = stage or Stage()
        self.errors: dict[str, deque[BaseException]] = {}
        self.lost_replies: dict[str, deque[BaseException]] = {}
        self.gates: dict[str, asyncio.Event] = {}  # what the calls of a method wait for
        self.calls: list[str] = []

    def hold(self, method: str) -> asyncio.Event:
        """Calls of this method wait from now on until the event is set."""
        self.gates[method] = asyncio.Event()
        return self.gates[method]

    def fail(self, method: str, error: BaseException, times: int = 1000) -> None:
        self.errors[method] = deque([error] * times)

    def lose_reply(self, method: str, error: BaseException, times: int = 1) -> None:
        self.lost_replies[method] = deque([error] * times)

    async def quote(self, swap: Swap) -> Quote:  # noqa: ARG002  # the port's
        return await self._call("quote", lambda: Quote(self.name, self.amount_out, self.fee_bps))

    async def build(self, order: SwapOrder, quote: Quote) -> SignedTransaction:  # noqa: ARG002  # the port's
        return await self._call("build", lambda: self.chain.sign(order))

    async def submit(self, transaction: SignedTransaction) -> None:
        await self._call("submit", lambda: self.chain.receive(transaction))

    async def status(self, signature: str) -> TxStatus:
        return await self._call("status", lambda: self.chain.status(signature))

    async def height(self) -> int:
        return await self._call("height", lambda: self.chain.block)

    async def _call(self, method: str, answer: Callable[[], Answer]) -> Answer:
        self.calls.append(method)
        await self.stage.reach(f"before {self.name} {method}")
        if gate := self.gates.get(method):
            await gate.wait()
        if errors := self.errors.get(method):
            raise errors.popleft()
        self.chain.before_answer(method)
        answered = answer()
        if lost := self.lost_replies.get(method):
            raise lost.popleft()
        await self.stage.reach(f"after {self.name} {method}")
        return answered


def paper_venues(chain: PaperChain, stage: Stage | None = None) -> tuple[PaperVenue, PaperVenue]:
    """Raydium, which pays more, and Meteora, on one chain."""
    return (
        PaperVenue("raydium", chain, 204_487_500, 25, stage),
        PaperVenue("meteora", chain, 204_000_000, 30, stage),
    )


def calls_of(venues: Sequence[PaperVenue], method: str) -> int:
    return sum(venue.calls.count(method) for venue in venues)


async def has_been_called(venue: PaperVenue, method: str, times: int = 1) -> None:
    """Waits until the venue has been called."""
    async with asyncio.timeout(15):
        while venue.calls.count(method) < times:  # noqa: ASYNC110  # the calls come from other tasks
            await asyncio.sleep(0.002)


async def status_first(venue: PaperVenue, transaction: SignedTransaction) -> tuple[TxStatus | None, bool]:
    """What settlement asks, in the wrong order: the status, and only then the height."""
    status = await venue.status(transaction.signature)
    return status, await venue.height() > transaction.last_valid_height

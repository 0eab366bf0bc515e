"""The engine: claims orders and drives each from wherever it stands to its end, or to the next attempt.

A worker that lost its claim is refused by the ledger's fence and stops; one that is told to stop hands its orders
back at their next safe point.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from uuid import UUID

import structlog

from app.errors import HandedBack, LostClaim, StorageUnavailable
from app.execution.isolation import Isolation
from app.execution.steps import Steps
from app.orders.model import Order, OrderEvent, Quote, Swap
from app.orders.routing import best_quote
from app.storage.ledger import Claimed, Ledger, Suspect
from app.venues.port import Choose, Venue

log = structlog.get_logger()


def best_of(_swap: Swap, quotes: Sequence[Quote]) -> Quote:
    """The quote with the highest net output: where venues are only to be compared."""
    return best_quote(quotes)


class Engine:
    """Drives many orders at once; `concurrency` bounds those in flight.

    `publish` is told of every step; `admit` answers how many seconds the order has to wait, 0 when it may start;
    `choose` makes of the venues' quotes what is to be done.
    """

    def __init__(
        self,
        ledger: Ledger,
        venues: Sequence[Venue],
        *,
        max_attempts: int,
        concurrency: int,
        publish: Callable[[OrderEvent], None],
        admit: Callable[[UUID], Awaitable[float]],
        choose: Choose = best_of,
    ) -> None:
        self._ledger = ledger
        self._concurrency = concurrency
        self._publish = publish
        self._admit = admit
        self.workers: set[int] = set()  # the ids under which this process has held orders
        self._driving: set[UUID] = set()
        self._slots = asyncio.Semaphore(concurrency)
        self._steps = Steps(
            ledger,
            venues,
            max_attempts=max_attempts,
            publish=publish,
            pause=self._pause,
            stop_here=self._stop_here,
            choose=choose,
        )
        self._isolation = Isolation()
        self._stopping = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    @property
    def in_flight(self) -> int:
        return len(self._driving)

    def stop(self) -> None:
        """Lets every order in flight reach its next safe point, where it is handed back."""
        self._stopping.set()

    async def has_room(self, patience: float) -> bool:
        """Whether another order may start now, or within `patience` seconds."""
        if self._room.is_set():
            return True
        try:
            await asyncio.wait_for(self._room.wait(), patience)
        except TimeoutError:
            return False
        return True

    async def drive(self, order_id: UUID, worker: int) -> None:
        """Takes the order as far as it goes; returns when there is nothing left to do for it now.

        Raises HandedBack when the engine stops, StorageUnavailable when the ledger is away, and whatever broke
        the engine: the order is then to be queued again.
        """
        if order_id in self._driving:
            return
        self.workers.add(worker)
        self._driving.add(order_id)
        self._update_room()
        try:
            async with self._slots:
                self._stop_here()
                while seconds := await self._admit(order_id):
                    await self._pause(seconds)
                await self._claim_and_advance(order_id, worker)
        finally:
            self._driving.discard(order_id)
            self._update_room()

    def _update_room(self) -> None:
        if len(self._driving) < self._concurrency:
            self._room.set()
        else:
            self._room.clear()

    async def _claim_and_advance(self, order_id: UUID, worker: int) -> None:
        claimed = await self._ledger.claim(order_id, worker, self._isolation.UNSUSPECTED)
        if isinstance(claimed, Suspect):
            async with self._isolation.of(claimed.deaths):
                self._stop_here()
                claimed = await self._ledger.claim(order_id, worker, self._isolation.ANY)
                assert not isinstance(claimed, Suspect)
                await self._advance(claimed)
        else:
            await self._advance(claimed)

    async def _advance(self, claimed: Claimed | None) -> None:
        if claimed is None:  # final, not due yet, or in the hands of a live worker
            return
        if claimed.event is not None:
            self._publish(claimed.event)
        try:
            self._stop_here()
            await self._steps.take(claimed.order, claimed.deaths)
        except LostClaim:
            log.info("order.claim_lost", order_id=str(claimed.order.id), fence=claimed.order.fence)
        except HandedBack:
            await self._hand_back(claimed.order)
            raise
        except StorageUnavailable:
            raise
        except (Exception, asyncio.CancelledError):
            # A cancellation that nobody asked of this task leaked out of a venue: an error like any other.
            is_stopped = is_cancelled()
            if not is_stopped:
                log.exception("order.engine_failed", order_id=str(claimed.order.id))
            await self._hand_back(claimed.order, died=not is_stopped)
            raise

    async def _hand_back(self, order: Order, *, died: bool = False) -> None:
        # Somebody else has it already, or will when this worker is missed.
        with suppress(LostClaim, StorageUnavailable):
            await self._ledger.release(order, died=died)

    def _stop_here(self) -> None:
        if self._stopping.is_set():
            raise HandedBack

    async def _pause(self, seconds: float) -> None:
        """Waits, unless the engine stops. Raises HandedBack."""
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return
        raise HandedBack


def is_cancelled() -> bool:
    """Whether somebody asked the current task to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0

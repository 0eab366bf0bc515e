"""The desk: where a request becomes an accepted order, within the client's limit and once per idempotency key."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from app.api.idempotency import RepeatMemory, Use
from app.api.parts import ApiParts
from app.api.problems import Refusal
from app.api.times import iso_now
from app.api.visits import Visit
from app.errors import IdempotencyMismatch, StorageUnavailable
from app.execution.intake import Accepted
from app.execution.limits import Allowance, OrderLimit
from app.orders.fingerprint import fingerprint
from app.orders.lifecycle import FIRST
from app.orders.model import OrderEvent, OrderRequest
from app.storage.waiting import settle

_NO_DATA: Final = msgspec.Raw(b"{}")


class OrderDesk:
    """Counts orders, not requests: a repeat takes nothing from the client's allowance."""

    def __init__(self, parts: ApiParts, limit: OrderLimit, memory: RepeatMemory) -> None:
        self._parts = parts
        self._limit = limit
        self._memory = memory
        # Per use the others that wait for the order of the one that came first.
        self._under_way: dict[Use, list[asyncio.Future[Accepted]]] = {}

    async def place(
        self, request: OrderRequest, visit: Visit, *, key: str | None, is_queued: bool
    ) -> Accepted:
        """The committed order. Raises Refusal, IdempotencyMismatch or StorageUnavailable."""
        mark = fingerprint(request, is_queued)
        if key is None:
            visit.allowance = _admitted((await self._limit.admit(visit.client)).allowance)
            return await self._accept(request, visit, None, mark, is_queued)
        use = Use(visit.client.account, key, mark)
        order_id = self._memory.find(use)
        if order_id is not None:
            return Accepted(order_id, replayed=True)
        others = self._under_way.get(use)
        if others is None:
            return await self._accept_first(request, visit, use, is_queued)
        # The same request is on its way: wait for its order, rather than ask the ledger about the same key.
        others.append(asyncio.get_running_loop().create_future())
        return (await others[-1])._replace(replayed=True)

    async def look(self, visit: Visit) -> None:
        """Finds out where the client stands, unless that is known."""
        if visit.allowance is None:
            visit.allowance = await self._limit.look(visit.client)

    async def _accept_first(self, request: OrderRequest, visit: Visit, use: Use, is_queued: bool) -> Accepted:
        others = self._under_way[use] = []
        outcome: Accepted | Exception = StorageUnavailable("the request was given up")
        try:
            outcome = await self._accept_once(request, visit, use, is_queued)
        except Exception as error:
            outcome = error
            raise
        finally:
            del self._under_way[use]
            for other in others:
                settle(other, outcome)
        return outcome

    async def _accept_once(self, request: OrderRequest, visit: Visit, use: Use, is_queued: bool) -> Accepted:
        memory = self._memory.in_redis(use)
        admission = await self._limit.admit(visit.client, memory)
        visit.allowance = admission.allowance
        if admission.repeats and (known := self._memory.read(memory, admission.repeats)):
            return Accepted(known, replayed=True)
        _admitted(admission.allowance)
        try:
            accepted = await self._accept(request, visit, use.key, use.fingerprint, is_queued)
        except IdempotencyMismatch:
            self._give_back(visit)
            raise
        if accepted.replayed:
            self._give_back(visit)
        self._memory.remember(use, memory, accepted.order_id)
        return accepted

    def _give_back(self, visit: Visit) -> None:
        """Only Postgres knew that it is no new order."""
        self._limit.give_back(visit.client)
        visit.allowance = None

    async def _accept(
        self, request: OrderRequest, visit: Visit, key: str | None, mark: bytes, is_queued: bool
    ) -> Accepted:
        accepted = await self._parts.intake.accept(
            request, account=visit.client.account, key=key, mark=mark, queue=is_queued
        )
        if self._parts.active_orders is not None and not accepted.replayed:
            self._parts.active_orders.put(OrderEvent(accepted.order_id, 1, FIRST, iso_now(), _NO_DATA))
        return accepted


def _admitted(allowance: Allowance | None) -> Allowance | None:
    """Raises Refusal when the allowance is used up."""
    if allowance is not None and not allowance.is_admitted:
        raise Refusal("rate_limited", headers={"Retry-After": str(allowance.reset)})
    return allowance

"""How many orders may pass per minute: one moving window for all processes in Redis, or one in here."""

from __future__ import annotations

import math
import time
from collections import OrderedDict, deque
from contextlib import suppress
from typing import Final, NamedTuple
from uuid import UUID

from app.storage.redis_guard import RedisAway
from app.storage.tally import Question, Tally, Told

WINDOW: Final = 60  # seconds
MAX_LOCAL_CLIENTS: Final = 10_000
MAX_STARTED: Final = 100_000  # orders that a process knows to have started

_STARTED: Final = "1"


class Client(NamedTuple):
    """Who is limited: an account, at the address that it calls from."""

    account: str
    address: str


class Allowance(NamedTuple):
    """Where a client stands; `reset` is in seconds."""

    limit: int
    remaining: int
    reset: int
    is_admitted: bool = True


class Memory(NamedTuple):
    """What Redis may know of a request: under which name, and how it begins if it was this very request.

    If it was not, and is admitted, `value` is remembered; nothing if it is empty.
    """

    name: str
    mark: str
    value: str = ""


_NO_MEMORY: Final = Memory("", "")


class Admission(NamedTuple):
    """What the limit says of an order (None: there is no limit), or which order it would repeat."""

    allowance: Allowance | None
    repeats: str = ""


class OrderLimit:
    """At most `per_minute` orders of a client in any 60 seconds; 0: as many as it likes, and no Allowance."""

    def __init__(self, per_minute: int, tally: Tally | None) -> None:
        self._per_minute = per_minute
        self._local = LocalWindow(per_minute) if per_minute else None
        self._tally = tally

    async def admit(self, client: Client, memory: Memory | None = None) -> Admission:
        """Counts one order, unless the client has used up its allowance or it is a repeat."""
        if self._tally is not None and (self._local is not None or memory is not None):
            with suppress(RedisAway):
                told = await self._tally.ask(self._question(client, 1, memory or _NO_MEMORY))
                return Admission(self._shared(client, told), told.found)
        return Admission(self._local.take(client) if self._local else None)

    async def look(self, client: Client) -> Allowance | None:
        """Where the client stands; counts nothing."""
        if self._local is None:
            return None
        if self._tally is not None:
            with suppress(RedisAway):
                return self._allowance(await self._tally.ask(self._question(client, 0)))
        return self._local.look(client)

    def give_back(self, client: Client) -> None:
        """Takes back what was counted for no new order."""
        if self._local is not None:
            self._local.give_back(client)
            if self._tally is not None:
                self._tally.tell(self._question(client, -1))

    def _question(self, client: Client, take: int, memory: Memory = _NO_MEMORY) -> Question:
        window = f"order-engine:window:{client.account}:{client.address}" if self._per_minute else ""
        return Question(window, self._per_minute, take, *memory)

    def _shared(self, client: Client, told: Told) -> Allowance | None:
        if self._local is None:
            return None
        allowance = self._allowance(told)
        if told.found or not allowance.is_admitted:
            return allowance
        # Counted here too: should Redis go away, this process goes on from here. And what it missed while it
        # was away is known here, so it cannot be admitted a second time.
        own = self._local.take(client)
        is_own = (own.is_admitted, own.remaining) <= (allowance.is_admitted, allowance.remaining)
        return own if is_own else allowance

    def _allowance(self, told: Told) -> Allowance:
        remaining = self._per_minute - told.count
        return _allowance(self._per_minute, remaining, told.reset / 1e6, is_admitted=told.is_admitted)


class StartLimit:
    """At most `per_minute` orders start in any 60 seconds, over all workers; 0: as many as come.

    An order is counted once, however often it is tried, by whichever worker. Without Redis each process counts
    for itself.
    """

    _EVERYONE: Final = Client("queue", "all")

    def __init__(self, per_minute: int, tally: Tally | None) -> None:
        self._limit = OrderLimit(per_minute, tally) if per_minute else None
        self._started: OrderedDict[UUID, None] = OrderedDict()  # the oldest are forgotten

    async def wait(self, order_id: UUID) -> float:
        """How many seconds the order has to wait before it asks again; 0: it may start."""
        if self._limit is None or order_id in self._started:
            return 0
        memory = Memory(f"order-engine:started:{order_id}", _STARTED, _STARTED)
        admission = await self._limit.admit(self._EVERYONE, memory)
        allowance = admission.allowance
        if not admission.repeats and allowance is not None and not allowance.is_admitted:
            return allowance.reset
        self._started[order_id] = None
        if len(self._started) > MAX_STARTED:
            self._started.popitem(last=False)
        return 0


class LocalWindow:
    """A moving window in this process, for as many clients as fit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken: OrderedDict[Client, deque[float]] = OrderedDict()  # the client seen last comes last

    def take(self, client: Client) -> Allowance:
        times = self._times(client)
        is_admitted = len(times) < self._limit
        if is_admitted:
            times.append(time.monotonic())
        return self._allowance(times, is_admitted=is_admitted)

    def look(self, client: Client) -> Allowance:
        return self._allowance(self._times(client))

    def give_back(self, client: Client) -> None:
        if times := self._times(client):
            times.pop()

    def _times(self, client: Client) -> deque[float]:
        times = self._taken.setdefault(client, deque())
        self._taken.move_to_end(client)
        if len(self._taken) > MAX_LOCAL_CLIENTS:
            self._taken.popitem(last=False)
        while times and times[0] <= time.monotonic() - WINDOW:
            times.popleft()
        return times

    def _allowance(self, times: deque[float], *, is_admitted: bool = True) -> Allowance:
        reset = times[0] + WINDOW - time.monotonic() if times else WINDOW
        return _allowance(self._limit, self._limit - len(times), reset, is_admitted=is_admitted)


def _allowance(limit: int, remaining: int, reset: float, *, is_admitted: bool = True) -> Allowance:
    return Allowance(limit, max(0, remaining), min(WINDOW, max(1, math.ceil(reset))), is_admitted)

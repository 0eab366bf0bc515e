"""Orders placed at a fixed rate, whatever the engine does, and how they were answered."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any, Final
from uuid import uuid4

import httpx
import msgspec

from app.terminal.pacing import arrivals
from app.terminal.place import EXECUTE, NotPlaced, Placed, problem_lines
from app.terminal.ungrouped import ungrouped

LATE: Final = 0.5  # seconds after its time at which an order is called late
OVERTIME: Final = 2.0  # seconds after the end for what could not be sent before; the rest is given up
NO_ANSWER: Final = 0  # among the status codes
# Refusals that say nothing about the order.
PASSING: Final = frozenset({httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS})


class Placing:
    """`accepted` gets the id of each order that was, and when it should have been sent, by perf_counter."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        order: Mapping[str, Any],
        accepted: Callable[[str, float], None],
        connections: int,
    ) -> None:
        self.codes: Counter[int] = Counter()  # of the answers
        self.problems: dict[int, str] = {}  # the first one of each code
        # From when an order should have been sent to its acceptance, in seconds.
        self.latencies: list[float] = []
        self.sent = 0
        self.late = 0
        self.unsent = 0
        self.worst = 0.0  # how long after its time the latest one was sent, in seconds
        self.was_full = False  # an order was due while all connections were busy
        self._client = client
        self._body = msgspec.json.encode(order)
        self._accepted = accepted
        self._connections = connections
        self._busy = 0
        self._due: asyncio.Queue[float | None] = asyncio.Queue()
        self._closes_at = float("inf")

    @property
    def waiting(self) -> int:
        """How many are due, and wait for a connection."""
        return self._due.qsize() if self._busy == self._connections else 0

    async def run(self, rate: float, seconds: float) -> None:
        """Places `rate` orders a second, and waits for the answers. Raises NotPlaced when the first is refused for good."""
        with ungrouped(NotPlaced):
            async with asyncio.TaskGroup() as group:
                for _ in range(self._connections):
                    group.create_task(self._work())
                async for due in arrivals(rate, seconds):
                    self._due.put_nowait(due)
                    self.was_full = self.was_full or self._busy + self._due.qsize() > self._connections
                self._closes_at = perf_counter() + OVERTIME
                for _ in range(self._connections):
                    self._due.put_nowait(None)

    async def _work(self) -> None:
        while (due := await self._due.get()) is not None:
            now = perf_counter()
            if now > self._closes_at:
                self.unsent += 1
                continue
            self.sent += 1
            self.late += now - due > LATE
            self.worst = max(self.worst, now - due)
            self._busy += 1
            try:
                await self._post(due)
            finally:
                self._busy -= 1

    async def _post(self, due: float) -> None:
        headers = {"content-type": "application/json", "idempotency-key": uuid4().hex}
        try:
            # Once: a repeat would be load that nobody asked for. The log tells what became of an order without an answer.
            response = await self._client.post(EXECUTE, content=self._body, headers=headers)
        except httpx.TransportError:
            self.codes[NO_ANSWER] += 1
            return
        self.codes[response.status_code] += 1
        self._take(response, due)

    def _take(self, response: httpx.Response, due: float) -> None:
        code = response.status_code
        try:
            if response.is_success:
                order_id = msgspec.json.decode(response.content, type=Placed).order_id
                self.latencies.append(perf_counter() - due)
                self._accepted(order_id, due)
                return
            lines = problem_lines(code, msgspec.json.decode(response.content, type=dict[str, Any]))
        except msgspec.DecodeError:
            lines = [f"It answered {code}, and not as an order engine."]
        # As long as none was accepted, the order itself may be wrong: so would be all that follow.
        if not (self.latencies or response.is_server_error or code in PASSING):
            raise NotPlaced("\n".join(lines))
        self.problems.setdefault(code, lines[0])

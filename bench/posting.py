"""A load generator that costs little of the machine it shares: raw HTTP/1.1, one request at a time per connection."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter, deque
from collections.abc import Callable
from itertools import count
from time import perf_counter
from typing import Final, cast

from app.terminal.pacing import arrivals

BODY: Final = b'{"type":"market","tokenIn":"SOL","tokenOut":"USDC","amount":1.25,"slippageBps":500}'
EXECUTE: Final = "/api/orders/execute"
STORE: Final = "/api/orders"
CREATED: Final = 201
LOOK: Final = 0.005  # seconds
FOR_EVER: Final = 1e9

Answered = Callable[["Connection", int, bytes], None]


class Orders:
    """Requests for ever new orders: each with an idempotency key of its own."""

    def __init__(self, path: str = EXECUTE, body: bytes = BODY) -> None:
        head = (
            f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nidempotency-key: {secrets.token_hex(6)}-"
        )
        self._head, self._tail = head.encode(), b"\r\n\r\n" + body
        self._numbers = count()

    def next(self) -> bytes:
        return b"%b%d%b" % (self._head, next(self._numbers), self._tail)


class Connection(asyncio.Protocol):
    """One keep-alive connection; `answered` gets the status and the body of each answer."""

    __slots__ = ("_answered", "_held", "_is_busy", "_transport", "due")

    def __init__(self, answered: Answered) -> None:
        self._answered = answered
        self._held = b""
        self._is_busy = False
        self.due = 0.0  # when the request under way should have been sent

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def send(self, request: bytes, due: float) -> None:
        self.due = due
        self._is_busy = True
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._held:
            data = self._held + data
        end = data.find(b"\r\n\r\n") + 4
        if end > 3:
            at = data.find(b"content-length: ") + 16
            if len(data) >= end + int(data[at : data.find(b"\r", at)]):
                self._held = b""
                self._is_busy = False
                self._answered(self, int(data[9:12]), data[end:])
                return
        self._held = data

    def connection_lost(self, exc: Exception | None) -> None:
        if self._is_busy:
            self._answered(self, 0, b"")

    def close(self) -> None:
        self._transport.close()


class Tally:
    """What was answered: codes, latencies in seconds, and when the last answer came."""

    def __init__(self) -> None:
        self.codes: Counter[int] = Counter()
        self.latencies: list[float] = []
        self.began = self.ended = perf_counter()

    def count(self, status: int, due: float) -> None:
        self.ended = perf_counter()
        self.codes[status] += 1
        self.latencies.append(self.ended - due)

    @property
    def accepted(self) -> int:
        return self.codes[CREATED]

    @property
    def per_second(self) -> float:
        return self.accepted / (self.ended - self.began)

    def refuse_errors(self) -> None:
        if set(self.codes) - {CREATED}:
            raise SystemExit(f"not every order was accepted: {dict(self.codes)}")


async def open_connections(port: int, number: int, answered: Answered) -> list[Connection]:
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: Connection(answered), "127.0.0.1", port) for _ in range(number)
    ]
    return [connection for _, connection in made]


class _ClosedLoop:
    def __init__(
        self,
        orders: Orders,
        number: int,
        accepted: Callable[[bytes], None] | None,
        has_room: Callable[[], bool],
    ) -> None:
        self.tally = Tally()
        self.resting: list[Connection] = []
        self.deadline = 0.0
        self._orders = orders
        self._left = number
        self._under_way = 0
        self._accepted = accepted
        self._has_room = has_room

    @property
    def is_over(self) -> bool:
        return not self._under_way and (not self._left or perf_counter() >= self.deadline)

    def proceed(self, connection: Connection) -> None:
        now = perf_counter()
        if self._left and now < self.deadline:
            self._left -= 1
            self._under_way += 1
            connection.send(self._orders.next(), now)

    def answered(self, connection: Connection, status: int, body: bytes) -> None:
        self._under_way -= 1
        self.tally.count(status, connection.due)
        if self._accepted is not None and status == CREATED:
            self._accepted(body)
        if self._has_room():
            self.proceed(connection)
        else:
            self.resting.append(connection)

    def wake(self) -> None:
        """Those that rest go on, if there is room."""
        if self.resting and self._has_room():
            woken, self.resting = self.resting, []
            for connection in woken:
                self.proceed(connection)


async def closed_loop(
    port: int,
    connections: int,
    orders: Orders,
    *,
    seconds: float = FOR_EVER,
    number: int = 1 << 62,
    accepted: Callable[[bytes], None] | None = None,
    has_room: Callable[[], bool] = lambda: True,
) -> Tally:
    """Every connection sends its next order when the last one is answered, for some seconds or until all are out.

    `accepted` gets each answer's body. While there is no room, connections rest.
    """
    loop = _ClosedLoop(orders, number, accepted, has_room)
    crew = await open_connections(port, connections, loop.answered)
    loop.tally.began = perf_counter()
    loop.deadline = loop.tally.began + seconds
    for connection in crew:
        loop.proceed(connection)
    while not loop.is_over:
        await asyncio.sleep(LOOK)
        loop.wake()
    for connection in crew:
        connection.close()
    return loop.tally


class _OpenLoop:
    def __init__(self, orders: Orders, accepted: Callable[[bytes, float], None]) -> None:
        self.tally = Tally()
        self.idle: list[Connection] = []
        self._orders = orders
        self._accepted = accepted
        self._waiting: deque[float] = deque()  # due, and no connection is free
        self._under_way = 0

    @property
    def is_over(self) -> bool:
        return not self._waiting and not self._under_way

    def add(self, due: float) -> None:
        self._waiting.append(due)
        self._send()

    def answered(self, connection: Connection, status: int, body: bytes) -> None:
        self._under_way -= 1
        self.tally.count(status, connection.due)
        if status == CREATED:
            self._accepted(body, connection.due)
        self.idle.append(connection)
        self._send()

    def _send(self) -> None:
        while self._waiting and self.idle:
            self._under_way += 1
            self.idle.pop().send(self._orders.next(), self._waiting.popleft())


async def open_loop(
    port: int,
    connections: int,
    orders: Orders,
    *,
    rate: float,
    seconds: float,
    accepted: Callable[[bytes, float], None],
) -> Tally:
    """Orders at a fixed rate, whatever the engine does: latencies count from when each should have been sent.

    `accepted` gets each answer's body, and the time when its order was due.
    """
    loop = _OpenLoop(orders, accepted)
    crew = await open_connections(port, connections, loop.answered)
    loop.idle += crew
    loop.tally.began = perf_counter()
    async for due in arrivals(rate, seconds):
        loop.add(due)
    while not loop.is_over:
        await asyncio.sleep(LOOK)
    for connection in crew:
        connection.close()
    return loop.tally


def order_id_in(body: bytes) -> str:
    at = body.index(b'"orderId":"') + 11
    return body[at : at + 36].decode()

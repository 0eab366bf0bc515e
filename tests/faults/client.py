"""Clients under load: each order has a key and is asked for until a 2xx; some are watched to their end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, Final, Self

import anyio
import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.e2e.clients import ENVELOPED, FLAT, FLAT_TOO, an_order
from tests.faults.journal import Answer, Journal, Transcript

PATIENCE: Final = 90.0  # seconds until a client gives up
PAUSE: Final = 0.3  # seconds before it asks again, doubled each time
LONGEST_PAUSE: Final = 2.0
CALL_SECONDS: Final = 60.0
PAIRS: Final = (("SOL", "USDC"), ("USDC", "SOL"), ("RAY", "USDC"), ("SOL", "JUP"))


class Clients:
    """Many clients of some API processes; all that they are told goes into the journal."""

    def __init__(
        self, journal: Journal, urls: Sequence[str], *, watch_every: int, staying: int, leaving: int
    ) -> None:
        self._journal = journal
        self._urls = tuple(urls)
        self._watch_every = watch_every
        self._staying = staying
        self._leaving = leaving
        self._sockets: dict[ClientConnection, None] = {}
        self._stack = AsyncExitStack()
        self._watching: list[asyncio.Task[None]] = []
        self.placed = 0

    async def __aenter__(self) -> Self:
        self._http = await self._stack.enter_async_context(
            httpx.AsyncClient(
                timeout=CALL_SECONDS,
                trust_env=False,
                verify=False,
                limits=httpx.Limits(max_connections=200),
            )
        )
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        await self._stack.aclose()

    async def load(self, orders: int, seconds: float, *, prefix: str = "order") -> None:
        """Places so many orders, evenly over the time; returns when each client has its answer."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(orders):
                await asyncio.sleep(began + number * seconds / orders - time.monotonic())
                group.create_task(self.order(f"{prefix}-{number}", number))
                self.placed += 1

    async def order(self, key: str, number: int = 0, **fields: Any) -> str | None:
        """Asks for the order of this key, at one process after the other, until told that it is accepted."""
        token_in, token_out = PAIRS[number % len(PAIRS)]
        pair = {"tokenIn": token_in, "tokenOut": token_out, "amount": 1 + number % 50 / 10}
        body = an_order(slippageBps=500, **(pair | fields))
        order_id = await self.insist(key, body, turn=number)
        if order_id is not None and self._watch_every and number % self._watch_every == 0:
            for _ in range(self._staying):
                self.watch(order_id)
            for steps in range(self._leaving):
                self.watch(order_id, leaves_after=steps)
        return order_id

    async def insist(self, key: str, body: dict[str, Any], turn: int = 0) -> str | None:
        """Asks again and again until told that the order is accepted."""
        deadline = time.monotonic() + PATIENCE
        pause = PAUSE
        while time.monotonic() < deadline:
            order_id = await self.ask(self._urls[turn % len(self._urls)], key, body)
            if order_id is not None:
                return order_id
            turn += 1
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, 2 * pause)
        self._journal.given_up.append(key)
        return None

    async def ask(self, url: str, key: str, body: dict[str, Any]) -> str | None:
        """One POST; the order's id after a 2xx."""
        began = time.monotonic()
        status: int | str
        order_id = None
        is_replay = False
        try:
            response = await self._post(f"{url}/api/orders/execute", key, body)
            status = response.status_code
            if response.is_success:
                order_id, is_replay = response.json()["orderId"], response.json()["idempotent"]
        except httpx.TransportError as error:
            status = type(error).__name__
        now = time.monotonic()
        self._journal.answers.append(Answer(key, status, order_id, is_replay, now - began, now))
        return order_id

    async def _post(self, url: str, key: str, body: dict[str, Any]) -> httpx.Response:
        """The answer of the engine.

        httpcore closes idle connections that are too many or too old, even one that it has just given to a request
        (encode/httpcore#1110). No engine has ended those, and they are asked for again.
        """
        while True:
            try:
                return await self._http.post(url, json=body, headers={"idempotency-key": key})
            except httpx.ReadError as error:
                if not _closed_here(error):
                    raise

    def watch(self, order_id: str, *urls: str, leaves_after: int | None = None) -> Transcript:
        """Follows an order to its end, on one of the three paths, through whatever cuts it off.

        With `leaves_after` only for so many steps.
        """
        transcript = Transcript(order_id, leaves_after)
        self._journal.transcripts.append(transcript)
        self.resume(transcript, *urls)
        return transcript

    def resume(self, transcript: Transcript, *urls: str) -> None:
        """Follows the order on from where the transcript ends."""
        following = self._follow(transcript, urls or self._urls, turn=len(self._watching))
        self._watching.append(asyncio.create_task(following))

    async def watched(self, within: float) -> None:
        """Waits until every watcher has seen the end, or the time (seconds) is over."""
        if self._watching:
            await asyncio.wait(self._watching, timeout=within)

    async def _follow(self, transcript: Transcript, urls: Sequence[str], turn: int) -> None:
        while transcript.wants_more:
            url = urls[turn % len(urls)]
            path = (FLAT, FLAT_TOO, ENVELOPED)[turn % 3].format(transcript.order_id)
            separator = "&" if "?" in path else "?"
            await self._listen(transcript, f"{url}{path}{separator}after={transcript.last}")
            turn += 3  # the path stays, the process may be another one
            await asyncio.sleep(PAUSE if transcript.wants_more else 0)

    async def _listen(self, transcript: Transcript, url: str) -> None:
        """One connection, to its end."""
        address = url.replace("http", "ws", 1)
        try:
            async with connect(
                address, compression=None, proxy=None, open_timeout=CALL_SECONDS, ping_interval=None
            ) as socket:
                self._sockets[socket] = None
                try:
                    while not transcript.has_left:
                        transcript.take(await socket.recv())
                except ConnectionClosed:
                    transcript.closes.append(socket.close_code)
                finally:
                    del self._sockets[socket]
        except (OSError, TimeoutError, InvalidHandshake, EOFError):
            transcript.closes.append(None)

    def cut(self, count: int) -> int:
        """Resets so many of the watchers' connections, the oldest first; how many there were."""
        sockets = list(self._sockets)[:count]
        for socket in sockets:
            socket.transport.abort()
        return len(sockets)


@asynccontextmanager
async def clients(
    journal: Journal, urls: Sequence[str], *, watch_every: int = 0, staying: int = 1, leaving: int = 0
) -> AsyncIterator[Clients]:
    """Every so many orders one is watched: to its end by some, for 0, 1, 2 … steps by others."""
    async with Clients(journal, urls, watch_every=watch_every, staying=staying, leaving=leaving) as them:
        yield them


def _closed_here(error: BaseException | None) -> bool:
    """Whether it comes from a socket that its own side has closed."""
    while error is not None and not isinstance(error, anyio.ClosedResourceError):
        error = error.__cause__ or error.__context__
    return error is not None

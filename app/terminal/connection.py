"""The way to a running engine, and how long it may be away."""

from __future__ import annotations

import asyncio
import random
from time import monotonic
from typing import Final

import httpx
from websockets.asyncio.client import connect

from app.errors import EngineError
from app.terminal.render import printable
from app.terminal.screen import is_http, is_loopback

OPEN_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 10.0
PING_SECONDS: Final = 20.0
FIRST_BACKOFF: Final = 0.1
LAST_BACKOFF: Final = 2.0
PATIENCE: Final = 60.0  # seconds of cuts and refusals after which a server that was there is given up
STEADY_SECONDS: Final = 5.0  # a connection that lasted so long was a good one, even if nothing happened


class NotFollowed(EngineError):  # noqa: N818  # reads as what it is
    """The engine cannot be followed; the message says why."""


def require_http(base_url: str) -> None:
    """Raises NotFollowed when this is no address of an engine."""
    if not is_http(base_url):
        raise NotFollowed(f"{printable(base_url)} is not an http address.")


def http_client(
    base_url: str, *, connections: int = 10, seconds: float = ANSWER_SECONDS
) -> httpx.AsyncClient:
    """A client of the engine that keeps up to so many connections and waits so long for each answer."""
    return httpx.AsyncClient(
        base_url=base_url,
        timeout=seconds,
        trust_env=not is_loopback(base_url),
        limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
    )


def open_websocket(base_url: str, path: str) -> connect:
    """A WebSocket of the engine. Raises NotFollowed when this is no address of one."""
    require_http(base_url)
    url = f"ws{base_url.rstrip('/').removeprefix('http')}{path}"
    return connect(
        url,
        proxy=None if is_loopback(url) else True,
        compression=None,
        open_timeout=OPEN_SECONDS,
        ping_interval=PING_SECONDS,
        close_timeout=1,
    )


class Patience:
    """Whether to come again after a cut, and when: an engine that was there is waited for, one that never was is not."""

    def __init__(self, base_url: str, seconds: float) -> None:
        self._base_url = base_url.rstrip("/")
        self._seconds = seconds
        self._good_at: float | None = None  # when the connection was good last; None: it never was
        self._opened_at = 0.0
        self._cuts = 0  # since it was good

    @property
    def is_tried(self) -> bool:
        """Whether the connection has been cut since it was good."""
        return self._cuts > 0

    def opened(self) -> None:
        self._opened_at = monotonic()
        self._good_at = self._good_at or self._opened_at

    def closed(self) -> None:
        if monotonic() - self._opened_at > STEADY_SECONDS:
            self.renew()

    def renew(self) -> None:
        """Something came through."""
        self._good_at, self._cuts = monotonic(), 0

    def judge_refusal(self, status_code: int) -> None:
        """A handshake was answered otherwise. Raises NotFollowed when asking again is pointless."""
        if status_code < httpx.codes.INTERNAL_SERVER_ERROR:
            raise NotFollowed(f"{self._base_url} answers {status_code}: is it an order engine?")
        self.judge_cut(None)

    def judge_cut(self, error: Exception | None) -> None:
        """The connection is gone, or did not come about. Raises NotFollowed when that has been so for too long."""
        if self._good_at is None:
            raise NotFollowed(f"{self._base_url} cannot be reached: {_reason(error)}.")
        if monotonic() - self._good_at > self._seconds:
            raise NotFollowed(
                f"{self._base_url} has been away for {self._seconds:.0f} seconds. Orders go on without a watcher."
            )

    async def pause(self) -> None:
        delay = min(LAST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(self._cuts, 10))
        self._cuts += 1
        await asyncio.sleep(delay * random.uniform(0.5, 1.0))


def _reason(error: Exception | None) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return "no answer in time"
    return printable(str(error)) if error is not None and str(error) else "it is not ready"

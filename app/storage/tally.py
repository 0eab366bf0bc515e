"""What all processes count and remember together in Redis; what is asked at the same time travels in one call."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from importlib.resources import files
from types import TracebackType
from typing import Any, Final, Self

import msgspec
import structlog
from redis.asyncio import Redis

from app.storage.redis_guard import RedisAway, RedisGuard
from app.storage.waiting import settle

REMEMBERED_SECONDS: Final = 24 * 60 * 60
MAX_BATCH: Final = 128
MAX_TOLD: Final = 10_000  # what nobody waits for is dropped beyond this
TOLD_WITHIN: Final = 0.02  # seconds; until then it waits for a question to go along with

log = structlog.get_logger()

_SCRIPT: Final = (files("app.storage") / "tally.lua").read_text("utf-8")
_encode: Final = msgspec.msgpack.Encoder().encode


class Question(msgspec.Struct, frozen=True, array_like=True):
    """What to count and what to remember; see tally.lua."""

    window: str = ""
    limit: int = 0
    take: int = 0
    name: str = ""
    mark: str = ""
    value: str = ""


class Told(msgspec.Struct, frozen=True, array_like=True):
    """`count` in the window; `reset` in µs until its oldest entry leaves it."""

    found: str
    is_admitted: bool
    count: int
    reset: int


_decode: Final = msgspec.msgpack.Decoder(list[Told]).decode


class Tally:
    """One call to Redis is under way at a time; the next one takes along all that gathered meanwhile."""

    def __init__(self, redis: Redis, guard: RedisGuard, *, window: int) -> None:
        """`window`: how many seconds what was taken counts."""
        self._script = redis.register_script(_SCRIPT)
        self._guard = guard
        self._span = window * 1_000_000
        self._waiting: deque[tuple[Question, asyncio.Future[Told] | None]] = deque()
        self._flushing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._flush_soon()
        if self._timer is not None:
            self._timer.cancel()
        if self._flushing is not None:
            await asyncio.wait({self._flushing})

    async def ask(self, question: Question) -> Told:
        """What Redis says. Raises RedisAway."""
        self._guard.check()
        future: asyncio.Future[Told] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, future))
        self._flush_soon()
        return await future

    def tell(self, question: Question) -> None:
        """Leaves it to be done; when Redis is away it is forgotten."""
        with suppress(RedisAway):
            self._guard.check()
            if len(self._waiting) < MAX_TOLD:
                self._waiting.append((question, None))
                if self._timer is None:
                    self._timer = asyncio.get_running_loop().call_later(TOLD_WITHIN, self._waited)

    def _flush_soon(self) -> None:
        if self._waiting and self._flushing is None:
            self._flushing = asyncio.create_task(self._flush(), name="tally")

    def _waited(self) -> None:
        self._timer = None
        self._flush_soon()

    async def _flush(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(MAX_BATCH, len(self._waiting)))]
                answers: Sequence[Told | RedisAway] = [RedisAway() for _ in batch]
                try:
                    answers = await self._call([question for question, _ in batch])
                except (Exception, asyncio.CancelledError):  # cancellations leak out of libraries
                    log.exception("tally.failed")
                for (_, future), answer in zip(batch, answers, strict=True):
                    if future is not None:  # whatever happened, nobody is left waiting
                        settle(future, answer)
        finally:
            self._flushing = None

    async def _call(self, questions: list[Question]) -> Sequence[Told | RedisAway]:
        arguments: list[Any] = [_encode(questions), self._span, REMEMBERED_SECONDS]
        try:
            told = _decode(await self._guard.ask(self._script, args=arguments))
        except (RedisAway, msgspec.MsgspecError):
            return [RedisAway() for _ in questions]
        return told if len(told) == len(questions) else [RedisAway() for _ in questions]

"""Redis behind a deadline and a circuit breaker: no request waits long for it, and none fails because of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, ParamSpec, Self, TypeVar

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

TICK: Final = 0.01  # seconds
TICKS: Final = 5  # a request waits 50 ms for Redis
PROBE_EVERY: Final = 0.5  # seconds between two looks at a Redis that is away
PROBE_SECONDS: Final = 0.5

Answer = TypeVar("Answer")
Asked = ParamSpec("Asked")

log = structlog.get_logger()


class RedisAway(Exception):  # noqa: N818  # a state, not a mistake
    """Redis did not answer in time, or had not answered the last time it was asked."""


class RedisGuard:
    """Asks Redis; the first question that fails opens the circuit, a probe in the background closes it again."""

    def __init__(self, redis: Redis | None) -> None:
        self._redis = redis
        self._probe: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Makes the acquaintance of Redis: a first connection takes longer than requests are to wait."""
        if self._redis is not None:
            with suppress(RedisError, OSError, TimeoutError):  # the first question finds out
                async with asyncio.timeout(PROBE_SECONDS):
                    await self._redis.ping()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.wait({self._probe})

    async def ask(
        self, question: Callable[Asked, Awaitable[Answer]], *args: Asked.args, **kwargs: Asked.kwargs
    ) -> Answer:
        """What the question answers, within 50 ms. Raises RedisAway."""
        redis = self.check()
        try:
            async with _Patience():
                return await question(*args, **kwargs)
        except (RedisError, OSError, TimeoutError) as error:
            self._open_circuit(redis, error)
            raise RedisAway from error

    def check(self) -> Redis:
        """The Redis to ask. Raises RedisAway while there is none."""
        if self._redis is None or self._probe is not None:
            raise RedisAway
        return self._redis

    async def ping(self) -> None:
        """Raises RedisAway when requests have to do without Redis."""
        await self.ask(self.check().ping)

    def _open_circuit(self, redis: Redis, error: Exception) -> None:
        if self._probe is None:  # many questions fail at once
            log.warning("redis.away", error=repr(error))
            self._probe = asyncio.create_task(self._until_back(redis), name="api.redis_probe")

    async def _until_back(self, redis: Redis) -> None:
        while True:
            # Looks at once: an answer that was merely late must not cost half a second of shared limits.
            with suppress(Exception):  # whatever it is, Redis is not back
                async with asyncio.timeout(PROBE_SECONDS):
                    await redis.ping()
                break
            await asyncio.sleep(PROBE_EVERY)
        self._probe = None
        log.info("redis.back")


class _Patience:
    """Ticks of the event loop instead of one timer: a pause of this process is not held against Redis."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._scope = asyncio.timeout(None)
        self._left = TICKS
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> None:
        await self._scope.__aenter__()
        self._timer = self._loop.call_later(TICK, self._tick)

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            # It holds this object: a ring for each question would wait for the garbage collector.
            self._timer = None
        await self._scope.__aexit__(exc_type, exc, tb)

    def _tick(self) -> None:
        self._left -= 1
        if self._left > 0:
            self._timer = self._loop.call_later(TICK, self._tick)
        else:
            self._scope.reschedule(self._loop.time())

"""Loops that outlive every error: a task that died silently is the worst bug of a stream."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

FIRST_BACKOFF: Final = 0.1  # seconds
LAST_BACKOFF: Final = 2.0
CLOSE_SECONDS: Final = 5.0

log = structlog.get_logger()


class Backoff:
    """How long to wait after a failure: doubling, with jitter; one log line when an outage starts and one when it ends."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._failures = 0

    def next_delay(self, error: BaseException) -> float:
        """Seconds to wait after this failure."""
        if self._failures == 0:
            log.warning("stream.lost", part=self._name, error=repr(error))
        # The exponent is capped, so that a long outage does not grow a huge number.
        delay = min(LAST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(self._failures, 10))
        self._failures += 1
        return delay * random.uniform(0.5, 1.0)

    def recovered(self) -> None:
        if self._failures:
            log.info("stream.recovered", part=self._name, failures=self._failures)
            self._failures = 0


async def keep_running(step: Callable[[], Awaitable[None]], backoff: Backoff) -> None:
    """Runs the step again and again, after a back-off when it failed; ends only when its task is cancelled."""
    while True:
        try:
            await step()
            backoff.recovered()
        except asyncio.CancelledError as error:
            # A cancellation that nobody asked of this task leaked out of a library: an error like any other.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            await asyncio.sleep(backoff.next_delay(error))
        except Exception as error:  # noqa: BLE001  # whatever it is, the loop goes on
            await asyncio.sleep(backoff.next_delay(error))


async def stop(task: asyncio.Task[None] | None) -> None:
    """Cancels the task and waits for its end, for a few seconds at most."""
    if task is not None:
        task.cancel()
        await asyncio.wait({task}, timeout=CLOSE_SECONDS)

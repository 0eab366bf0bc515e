"""The chain's clock as a process can know it between two readings of the database's."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from app.venues.simulated.market import SLOT_MS

READ_AGAIN_SECONDS: Final = 5.0
MARGIN_MS: Final = 20  # more than two clocks can drift apart before the next reading (500 ppm each: 5 ms)


class ChainClock:
    """The database's clock carried on by this process's monotonic one; the wall clock plays no part.

    Never ahead of the database's: a height that is too high would let a transaction be given up while the chain
    still takes it. Behind it by the margin and the way that the last reading travelled.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._read_at: float | None = None
        self._reading_ms = 0

    def observe(self, reading_ms: int) -> None:
        """Take a reading that has just arrived: it was true some time before now, so it is behind by that much."""
        self._reading_ms = reading_ms
        self._read_at = self._monotonic()

    def forget(self) -> None:
        """The database's clock does not go on as this one does: it is to be read every time."""
        self._read_at = None

    def height(self) -> int | None:
        """The block height, floor(milliseconds since 1970 / 400); None when the clock must be read again."""
        if self._read_at is None:
            return None
        passed = self._monotonic() - self._read_at
        if passed > READ_AGAIN_SECONDS:
            return None
        return (self._reading_ms - MARGIN_MS + int(passed * 1000)) // SLOT_MS

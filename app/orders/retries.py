"""When to try again."""

from __future__ import annotations

from typing import Final

FIRST_DELAY_MS: Final = 500
LONGEST_DELAY_MS: Final = 10_000


def retry_delay_ms(attempt: int, jitter: float) -> int:
    """Milliseconds to wait after attempt 1, 2, …: exponential back-off with equal jitter.

    Half of the delay is fixed, half is drawn (`jitter` in 0–1), so that orders that failed together do not
    come back together. Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    delay = min(LONGEST_DELAY_MS, FIRST_DELAY_MS << (attempt - 1))
    return round(delay / 2 * (1 + jitter))

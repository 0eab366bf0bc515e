"""The chain's clock between two readings: behind the database's, never ahead."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.venues.simulated.clock import MARGIN_MS, READ_AGAIN_SECONDS, ChainClock

A_TIME_MS = 1_790_000_000_123


class Monotonic:
    """A clock that goes when it is told to."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds


def test_a_clock_that_was_never_read_has_no_height() -> None:
    assert ChainClock(Monotonic()).height() is None


def test_a_reading_holds_for_a_few_seconds() -> None:
    monotonic = Monotonic()
    clock = ChainClock(monotonic)
    clock.observe(A_TIME_MS)
    monotonic.seconds = READ_AGAIN_SECONDS - 0.01
    assert clock.height() is not None
    monotonic.seconds = READ_AGAIN_SECONDS + 0.01
    assert clock.height() is None


@given(
    st.floats(min_value=0, max_value=1e9),
    st.floats(min_value=0, max_value=2),
    st.floats(min_value=0, max_value=READ_AGAIN_SECONDS),
    st.integers(min_value=-500, max_value=500),
)
def test_it_is_behind_the_databases_clock_by_the_journey_and_the_margin(
    origin: float, journey: float, passed: float, drift_ppm: int
) -> None:
    monotonic = Monotonic(origin)
    clock = ChainClock(monotonic)
    monotonic.seconds += journey
    clock.observe(A_TIME_MS)
    monotonic.seconds += passed
    true_ms = A_TIME_MS + (journey + passed) * 1000 * (1 + drift_ppm / 1e6)
    height = clock.height()
    if height is None:  # rounding of a large origin
        return
    assert height <= true_ms // 400
    assert height >= (true_ms - journey * 1000 - 2 * MARGIN_MS) // 400

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.venues.pools.damm_v2_volatility import DynamicFee, Volatility
from app.venues.pools.integers import Q64
from tests.venues.pools.generated import SWAPS
from tests.venues.pools.test_damm_v2 import a_pool

SINCE = 1_000
FEE = DynamicFee(1, 2_000_000)
STILL = Volatility(sqrt_price_reference=Q64, last_update=SINCE)


def basis_points(sqrt_price: int, steps: int) -> int:
    """The price so many basis points of its root away, and a little more, so that the last step is a whole one."""
    return sqrt_price + sqrt_price * steps // 10_000 + sqrt_price // 1_000_000


def test_volatility_is_how_far_the_price_moved_either_way() -> None:
    up = FEE.moved(STILL, Q64, basis_points(Q64, 7), SINCE + 60)
    down = FEE.moved(STILL, basis_points(Q64, 7), Q64, SINCE + 60)
    assert (up.accumulator, down.accumulator) == (140_000, 140_000)
    assert (up.sqrt_price_reference, up.last_update) == (Q64, SINCE + 60)


def test_within_the_filter_period_movement_counts_from_the_same_price() -> None:
    there = FEE.moved(STILL, Q64, basis_points(Q64, 7), SINCE + 60)
    back = FEE.moved(there, basis_points(Q64, 7), Q64, SINCE + 69)
    assert back.accumulator == 0
    assert back.sqrt_price_reference == Q64


def test_after_the_filter_period_half_of_it_stays_and_movement_counts_from_the_new_price() -> None:
    there = FEE.moved(STILL, Q64, basis_points(Q64, 7), SINCE + 60)
    back = FEE.moved(there, basis_points(Q64, 7), Q64, SINCE + 70)
    assert (back.reference, back.accumulator) == (70_000, 210_000)
    assert back.sqrt_price_reference == basis_points(Q64, 7)


def test_after_the_decay_period_nothing_of_it_stays() -> None:
    there = FEE.moved(STILL, Q64, basis_points(Q64, 7), SINCE + 60)
    later = FEE.moved(there, basis_points(Q64, 7), basis_points(Q64, 7), SINCE + 180)
    assert (later.reference, later.accumulator) == (0, 0)


def test_a_swap_within_a_step_does_not_begin_the_periods_anew() -> None:
    assert FEE.moved(STILL, Q64, Q64 + Q64 // 20_000, SINCE + 60).last_update == SINCE


@SWAPS
@given(st.integers(2**32, 2**96), st.integers(2**32, 2**96), st.integers(0, 10**6))
def test_volatility_never_exceeds_its_cap(before: int, after: int, seconds: int) -> None:
    moved = FEE.moved(STILL, before, after, SINCE + seconds)
    assert 0 <= moved.accumulator <= FEE.max_volatility_accumulator


def test_a_swap_that_moves_the_price_makes_the_next_one_dearer_until_the_market_rests() -> None:
    pool = a_pool(dynamic_fee=FEE)
    moved = pool.quote_exact_in(10**13, a_to_b=True, at=SINCE).after
    assert pool.fee_numerator(SINCE) == 10_000_000
    assert moved.fee_numerator(SINCE) > 10_000_000
    rested = moved.quote_exact_in(1_000, a_to_b=True, at=SINCE + 120).after
    assert rested.fee_numerator(SINCE + 120) == 10_000_000

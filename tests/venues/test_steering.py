"""Steering: the trade that takes a price somewhere takes it there, whatever the pool computes by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.venues.simulated.listings import LISTINGS
from app.venues.simulated.market import MILLION
from app.venues.simulated.steering import price_of, trade_to

from .builders import an_exchange

EXCHANGE = an_exchange()
pools = st.sampled_from(sorted(LISTINGS))
NEAR = 20  # millionths of √price: fees that are not of the curve, and roundings


@given(pools, st.integers(-5_000, 5_000))
def test_a_price_is_taken_where_it_should_be(pool_id: str, millionths: int) -> None:
    state, listing = EXCHANGE.pools[pool_id].state, LISTINGS[pool_id]
    target = price_of(state) * (MILLION + millionths) // MILLION
    if listing.width:
        reach = listing.width * 40  # millionths of √price: four fifths of what the makers cover
        target = min(
            max(target, price_of(state) * (MILLION - reach) // MILLION),
            price_of(state) * (MILLION + reach) // MILLION,
        )
    amount, a_to_b = trade_to(state, target, EXCHANGE.now)
    if amount == 0:
        assert abs(millionths) <= NEAR
        return
    assert a_to_b is (target < price_of(state))
    after = price_of(state.quote_exact_in(amount, a_to_b, EXCHANGE.now).after)
    assert abs(after - target) * MILLION <= (50 * listing.step * (listing.kind == "dlmm") + NEAR) * target


@pytest.mark.parametrize("pool_id", LISTINGS)
def test_a_price_that_is_there_needs_no_trade(pool_id: str) -> None:
    state = EXCHANGE.pools[pool_id].state
    assert trade_to(state, price_of(state), EXCHANGE.now)[0] == 0


@pytest.mark.parametrize("pool_id", LISTINGS)
@pytest.mark.parametrize("factor", [4, 0.25])
def test_a_price_beyond_all_liquidity_is_approached(pool_id: str, factor: float) -> None:
    state = EXCHANGE.pools[pool_id].state
    target = int(price_of(state) * factor)
    amount, a_to_b = trade_to(state, target, EXCHANGE.now)
    assert amount > 0
    assert a_to_b is (factor < 1)

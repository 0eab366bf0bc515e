"""What holds for every pool of ticks or bins, whatever is swapped."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import accumulate, pairwise

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from app.venues.pools.clmm import ClmmPool
from app.venues.pools.clmm_ticks import sqrt_price_at_tick
from app.venues.pools.dlmm import DlmmPool
from app.venues.pools.dlmm_bins import amount_out_for
from app.venues.pools.integers import Q64
from app.venues.pools.quote import PoolError, PoolQuote
from tests.venues.pools.concentrated import AnyPool, amounts, clmm_pools, dlmm_pools, pools, times

# Many drawn amounts are more than the drawn pool holds.
drawn = settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])


def answer(
    ask: Callable[[int, bool, int], PoolQuote[AnyPool]], amount: int, a_to_b: bool, at: int
) -> PoolQuote[AnyPool]:
    try:
        return ask(amount, a_to_b, at)
    except PoolError:
        assume(False)
        raise


def owed(pool: ClmmPool) -> tuple[Fraction, Fraction]:
    """What the positions could withdraw of token 0 and token 1 at the pool's price; exact."""
    first = second = Fraction(0)
    liquidities = accumulate(pool.liquidity_nets)
    for liquidity, (lower, upper) in zip(liquidities, pairwise(pool.ticks), strict=False):
        low, high = sqrt_price_at_tick(lower), sqrt_price_at_tick(upper)
        price = min(max(pool.sqrt_price, low), high)
        first += Fraction(liquidity * (high - price) << 64, high * price)
        second += Fraction(liquidity * (price - low), Q64)
    return first, second


def vaults(pool: DlmmPool) -> tuple[int, int]:
    x, y = pool.unclaimed_x, pool.unclaimed_y
    for held in pool.bins:
        orders = held.open_order + held.processed_order
        x += held.amount_x + (orders if held.is_ask else 0)
        y += held.amount_y + (0 if held.is_ask else orders)
    return x, y


def assert_sound(pool: AnyPool, quote: PoolQuote[AnyPool], a_to_b: bool) -> None:
    after, way = quote.after, 1 if a_to_b else -1
    received, given_away = quote.amount_in - quote.fees_in.total, quote.amount_out + quote.fees_out.total
    parts = (quote.fees_in, quote.fees_out)
    assert all(share >= 0 for fees in parts for share in (fees.lp, fees.protocol, fees.fund))
    if isinstance(pool, ClmmPool):
        assert isinstance(after, ClmmPool)
        assert after.liquidity == sum(
            net for tick, net in zip(after.ticks, after.liquidity_nets, strict=True) if tick <= after.tick
        )
        (in_before, out_before), (in_after, out_after) = owed(pool)[::way], owed(after)[::way]
        assert in_after - in_before <= received
        assert out_before - out_after >= given_away
    else:
        assert isinstance(after, DlmmPool)
        (in_held, out_held), (in_now, out_now) = vaults(pool)[::way], vaults(after)[::way]
        assert in_now - in_held == received
        assert out_held - out_now == given_away
        assert all(
            held.amount_x >= 0 and held.amount_y >= 0 and held.processed_order >= 0 for held in after.bins
        )


@given(pools, amounts, st.booleans(), times)
@drawn
def test_tokens_are_conserved_and_no_liquidity_is_lost(
    pool: AnyPool, amount: int, a_to_b: bool, at: int
) -> None:
    quote = answer(pool.quote_exact_in, amount, a_to_b, at)
    assert quote.amount_in == amount
    assert_sound(pool, quote, a_to_b)


@given(pools, amounts, st.booleans(), times)
@drawn
def test_the_same_for_an_exact_output(pool: AnyPool, amount: int, a_to_b: bool, at: int) -> None:
    quote = answer(pool.quote_exact_out, amount, a_to_b, at)
    assert quote.amount_out == amount
    assert_sound(pool, quote, a_to_b)


@given(dlmm_pools(), amounts, st.booleans(), times)
@drawn
def test_no_bin_sells_below_its_price(pool: DlmmPool, amount: int, swap_for_y: bool, at: int) -> None:
    try:
        swap = pool.swap(amount, swap_for_y, at, exact_in=True)
    except PoolError:
        assume(False)
        raise
    for fill in swap.fills:
        assert fill.gross_out <= amount_out_for(fill.net_in, pool.bins[fill.at].price, swap_for_y)


@given(pools, amounts, st.booleans(), times)
@drawn
def test_the_short_way_to_the_output_gives_what_the_quote_gives(
    pool: AnyPool, amount: int, a_to_b: bool, at: int
) -> None:
    assert outcome(pool.amount_out, amount, a_to_b, at) == outcome(
        lambda *asked: pool.quote_exact_in(*asked).amount_out, amount, a_to_b, at
    )


def outcome(
    ask: Callable[[int, bool, int], int], amount: int, a_to_b: bool, at: int
) -> int | type[PoolError]:
    try:
        return ask(amount, a_to_b, at)
    except PoolError as error:
        return type(error)


@given(pools, amounts, amounts, st.booleans(), times)
@drawn
def test_more_input_never_gives_less(pool: AnyPool, amount: int, more: int, a_to_b: bool, at: int) -> None:
    less_out = outcome(pool.amount_out, amount, a_to_b, at)
    more_out = outcome(pool.amount_out, amount + more, a_to_b, at)
    if isinstance(less_out, int) and isinstance(more_out, int):
        assert less_out <= more_out


@given(pools, amounts, st.booleans(), times)
@drawn
def test_the_output_of_an_exact_input_never_costs_more_than_that_input(
    pool: AnyPool, amount: int, a_to_b: bool, at: int
) -> None:
    wanted = answer(pool.quote_exact_in, amount, a_to_b, at).amount_out
    # Who wants all that the range up to the next tick gives, rounded down, pays for that range to its very end.
    wanted -= isinstance(pool, ClmmPool)
    assume(wanted > 0)
    assert pool.quote_exact_out(wanted, a_to_b, at).amount_in <= amount


@given(clmm_pools(), amounts, st.booleans(), times)
@drawn
def test_the_input_of_an_exact_output_gives_at_least_that_output(
    pool: ClmmPool, amount: int, a_to_b: bool, at: int
) -> None:
    quote = answer(pool.quote_exact_out, amount, a_to_b, at)
    assert answer(pool.quote_exact_in, quote.amount_in, a_to_b, at).amount_out >= amount


@given(dlmm_pools(), amounts, st.booleans(), times)
@drawn
def test_the_same_for_bins_but_for_a_unit_in_each(
    pool: DlmmPool, amount: int, swap_for_y: bool, at: int
) -> None:
    needed = answer(pool.quote_exact_out, amount, swap_for_y, at).amount_in + len(pool.bins)
    answer(pool.quote_exact_in, needed, swap_for_y, at)
    swap = pool.swap(needed, swap_for_y, at, exact_in=True)
    # An exact output leaves alone a bin whose output the fee eats up; an exact input buys it out for nothing.
    assume(all(fill.received for fill in swap.fills if fill.gross_out == sum(swap.liquidity(fill.at))))
    assert sum(fill.received for fill in swap.fills) >= amount


@given(pools, amounts, st.booleans(), times)
@drawn
def test_a_round_trip_never_profits(pool: AnyPool, amount: int, a_to_b: bool, at: int) -> None:
    there = answer(pool.quote_exact_in, amount, a_to_b, at)
    assume(there.amount_out > 0)
    back = answer(there.after.quote_exact_in, there.amount_out, not a_to_b, at)
    assert back.amount_out <= amount


@given(pools, amounts, st.booleans(), times)
@drawn
def test_nothing_is_bought_below_the_spot_price(pool: AnyPool, amount: int, a_to_b: bool, at: int) -> None:
    assert 0 <= answer(pool.quote_exact_in, amount, a_to_b, at).price_impact <= 1

"""What holds for every pool, whatever is swapped."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import assume, given
from hypothesis import strategies as st

from app.venues.pools.cpmm import CpmmPool
from app.venues.pools.damm_v2 import CollectFee, DammV2Pool
from app.venues.pools.quote import Fees, Pool, PoolError, PoolQuote
from tests.venues.pools.generated import (
    SWAPS,
    AnyPool,
    amounts,
    constant_products,
    pools,
    purchases,
    reserves_of,
    times,
)


def kept(pool: AnyPool, fees: Fees) -> int:
    """The part of the fees that stays in the pool's reserves."""
    return fees.compounding if isinstance(pool, DammV2Pool) else fees.lp


def beyond_curve(pool: DammV2Pool) -> tuple[Fraction, Fraction]:
    """What a pool with a price range holds beyond what its liquidity owes at its price; exact."""
    price, low, high = pool.sqrt_price, pool.terms.sqrt_min_price, pool.terms.sqrt_max_price
    owed_a = Fraction(pool.liquidity * (high - price), high * price)
    owed_b = Fraction(pool.liquidity * (price - low), 1 << 128)
    return pool.token_a_amount - owed_a, pool.token_b_amount - owed_b


def exact_in(pool: AnyPool, amount: int, a_to_b: bool, at: int) -> PoolQuote[AnyPool]:
    try:
        return pool.quote_exact_in(amount, a_to_b, at)
    except PoolError:
        assume(False)
        raise


def exact_out(pool: AnyPool, amount: int, a_to_b: bool, at: int) -> PoolQuote[AnyPool]:
    try:
        return pool.quote_exact_out(amount, a_to_b, at)
    except PoolError:
        assume(False)
        raise


def outcome(pool: Pool, amount: int, a_to_b: bool, at: int) -> int | type[PoolError]:
    try:
        return pool.amount_out(amount, a_to_b, at)
    except PoolError as error:
        return type(error)


def assert_sound(pool: AnyPool, quote: PoolQuote[AnyPool], a_to_b: bool) -> None:
    after, fees_in, fees_out = quote.after, quote.fees_in, quote.fees_out
    parts = (*_parts(fees_in), *_parts(fees_out), quote.amount_in, quote.amount_out, *reserves_of(after))
    assert all(part >= 0 for part in parts)
    (in_before, out_before), (in_after, out_after) = (
        (reserves_of(state) if a_to_b else reserves_of(state)[::-1]) for state in (pool, after)
    )
    assert in_after - in_before == quote.amount_in - fees_in.total + kept(pool, fees_in)
    assert out_before - out_after == quote.amount_out + fees_out.total - kept(pool, fees_out)
    if isinstance(pool, DammV2Pool) and pool.terms.collect_fee is not CollectFee.COMPOUNDING:
        assert isinstance(after, DammV2Pool)
        assert after.liquidity == pool.liquidity
        assert all(now >= then for now, then in zip(beyond_curve(after), beyond_curve(pool), strict=True))
    else:
        assert in_after * out_after >= in_before * out_before


def _parts(fees: Fees) -> tuple[int, ...]:
    return fees.lp, fees.protocol, fees.fund, fees.creator, fees.referral, fees.compounding


@SWAPS
@given(pools, amounts, st.booleans(), times)
def test_tokens_are_conserved_and_the_invariant_never_falls(
    pool: AnyPool, amount: int, a_to_b: bool, at: int
) -> None:
    assert_sound(pool, exact_in(pool, amount, a_to_b, at), a_to_b)


@SWAPS
@given(purchases(), times)
def test_the_same_for_an_exact_output(purchase: tuple[AnyPool, int, bool], at: int) -> None:
    pool, amount, a_to_b = purchase
    assert_sound(pool, exact_out(pool, amount, a_to_b, at), a_to_b)


@SWAPS
@given(pools, amounts, st.booleans(), times)
def test_the_short_way_to_the_output_gives_what_the_quote_gives(
    pool: AnyPool, amount: int, a_to_b: bool, at: int
) -> None:
    try:
        expected: int | type[PoolError] = pool.quote_exact_in(amount, a_to_b, at).amount_out
    except PoolError as error:
        expected = type(error)
    assert outcome(pool, amount, a_to_b, at) == expected


@SWAPS
@given(pools, amounts, amounts, st.booleans(), times)
def test_more_input_never_gives_less(pool: AnyPool, amount: int, more: int, a_to_b: bool, at: int) -> None:
    less_out, more_out = outcome(pool, amount, a_to_b, at), outcome(pool, amount + more, a_to_b, at)
    if isinstance(less_out, int) and isinstance(more_out, int):
        assert less_out <= more_out


@SWAPS
@given(pools, amounts, st.booleans(), times)
def test_the_output_of_an_exact_input_never_costs_more_than_that_input(
    pool: AnyPool, amount: int, a_to_b: bool, at: int
) -> None:
    quote = exact_in(pool, amount, a_to_b, at)
    assume(quote.amount_out > 0)
    assert pool.quote_exact_out(quote.amount_out, a_to_b, at).amount_in <= amount


@SWAPS
@given(purchases(), times)
def test_the_input_of_an_exact_output_gives_at_least_that_output(
    purchase: tuple[AnyPool, int, bool], at: int
) -> None:
    pool, amount, a_to_b = purchase
    quote = exact_out(pool, amount, a_to_b, at)
    assert quote.amount_out == amount
    # Where trade and creator fee are both on the input, exact-in rounds each of them up, exact-out only their sum.
    twice_rounded = 2 if isinstance(pool, CpmmPool) and pool.creator_fee_rate else 0
    assert exact_in(pool, quote.amount_in + twice_rounded, a_to_b, at).amount_out >= amount


@SWAPS
@given(purchases(constant_products), times)
def test_an_exact_output_of_a_constant_product_costs_no_unit_more_than_it_must(
    purchase: tuple[AnyPool, int, bool], at: int
) -> None:
    pool, amount, a_to_b = purchase
    quote = exact_out(pool, amount, a_to_b, at)
    cheaper = outcome(pool, quote.amount_in - 1, a_to_b, at)
    assert not isinstance(cheaper, int) or cheaper < amount


@SWAPS
@given(pools, amounts, st.booleans(), times)
def test_a_round_trip_never_profits(pool: AnyPool, amount: int, a_to_b: bool, at: int) -> None:
    there = exact_in(pool, amount, a_to_b, at)
    back = exact_in(there.after, there.amount_out, not a_to_b, at)
    assert back.amount_out <= amount


@SWAPS
@given(purchases(), times)
def test_a_round_trip_by_exact_outputs_never_profits(purchase: tuple[AnyPool, int, bool], at: int) -> None:
    pool, amount, a_to_b = purchase
    there = exact_out(pool, amount, a_to_b, at)
    back = exact_out(there.after, there.amount_in, not a_to_b, at)
    assert back.amount_in >= amount


@SWAPS
@given(pools, amounts, st.booleans(), times)
def test_nothing_is_bought_below_the_spot_price(pool: AnyPool, amount: int, a_to_b: bool, at: int) -> None:
    # A compounding pool states its price as a floored square root, a little below that of its reserves.
    assume(not isinstance(pool, DammV2Pool) or pool.terms.collect_fee is not CollectFee.COMPOUNDING)
    quote = exact_in(pool, amount, a_to_b, at)
    assert 0 <= quote.price_impact <= 1
    if quote.amount_in > quote.fees_in.total:
        assert 0 <= quote.price_impact_before_fees <= quote.price_impact
    if quote.amount_out:
        assert quote.markup == 1 / (1 - quote.price_impact) - 1

from __future__ import annotations

import itertools
import json
from decimal import Decimal
from fractions import Fraction

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from app.orders.model import Quote, Swap
from app.orders.routing import LEAST_REFERENCE, best_quote, price_impact, quote_view
from app.orders.tokens import SOL, TOKENS, USDC

amounts = st.integers(1, 2**64 - 1)
quotes = st.builds(
    Quote, venue=st.sampled_from(["meteora", "raydium", "orca"]), amount_out=amounts, fee_bps=st.integers(0, 500)
)  # fmt: skip
swaps = st.builds(Swap, st.sampled_from(TOKENS), st.sampled_from(TOKENS), amounts)


@given(st.lists(quotes, min_size=1, max_size=5))
def test_the_choice_is_the_quote_that_leaves_the_most(offers: list[Quote]) -> None:
    assert best_quote(offers).amount_out == max(offer.amount_out for offer in offers)


@given(st.lists(quotes, min_size=1, max_size=4, unique_by=lambda quote: quote.venue))
def test_the_choice_does_not_depend_on_who_answered_first(offers: list[Quote]) -> None:
    assert {best_quote(order) for order in itertools.permutations(offers)} == {best_quote(offers)}


def test_net_output_decides_and_neither_the_price_nor_the_fee() -> None:
    cheap = Quote("raydium", 205_000_000, fee_bps=1)
    dear = Quote("meteora", 205_000_001, fee_bps=400)

    assert best_quote([cheap, dear]) is dear


def test_equal_quotes_are_decided_by_name() -> None:
    assert best_quote([Quote("raydium", 7, 25), Quote("meteora", 7, 30)]).venue == "meteora"


@given(quotes, swaps)
def test_a_quote_as_shown_adds_up(quote: Quote, swap: Swap) -> None:
    view = json.loads(msgspec.json.encode(quote_view(quote, swap)), parse_float=Decimal, parse_int=Decimal)
    amount_in = Fraction(swap.amount_in, 10**swap.token_in.decimals)

    net_out = amount_in * Fraction(view["price"]) * (1 - Fraction(view["fee"]))

    assert Fraction(view["amountOut"]) == Fraction(quote.amount_out, 10**swap.token_out.decimals)
    assert abs(net_out / Fraction(view["amountOut"]) - 1) <= Fraction(1, 10**11)


def test_a_quote_is_shown_with_exactly_what_watchers_are_promised() -> None:
    view = quote_view(Quote("raydium", 204_487_500, 25), Swap(SOL, USDC, 1_250_000_000))

    assert json.loads(msgspec.json.encode(view)) == {
        "dex": "raydium", "price": 164, "fee": 0.0025, "amountOut": 204.4875,
    }  # fmt: skip


reserves = st.integers(10**9, 10**15)


@given(reserves, reserves, st.integers(10**6, 10**12))
def test_the_impact_in_a_constant_product_pool_is_the_share_that_the_trade_adds_to_it(
    reserve_in: int, reserve_out: int, amount_in: int
) -> None:
    """Without a fee: out / in = R_out / (R_in + in), and nearly R_out / R_in for next to nothing."""
    reference_in = max(1, amount_in // 1000)
    out, reference_out = (
        reserve_out * amount // (reserve_in + amount) for amount in (amount_in, reference_in)
    )
    impact = price_impact(amount_in, out, reference_in, reference_out)

    if impact is None:
        assert reference_out < LEAST_REFERENCE
    else:
        exact = 1 - Fraction(reserve_in + reference_in, reserve_in + amount_in)
        assert abs(Fraction(impact) - exact) <= Fraction(2, LEAST_REFERENCE)
        assert 0 <= impact < 1


def test_a_price_that_is_better_for_more_has_no_impact() -> None:
    assert price_impact(1000, 20_000_001, 1, 20_000) == 0


def test_the_impact_of_a_quote_that_is_mostly_rounding_is_not_known() -> None:
    assert price_impact(1000, 9_000_000, 1, LEAST_REFERENCE - 1) is None
    assert price_impact(1000, 9_000_000, 1, LEAST_REFERENCE) == Decimal("0.1")

"""The algebra of curves, against what it stands for."""

from __future__ import annotations

from random import Random

import pytest

from app.orders.tokens import SOL, USDC
from app.venues.pools.quote import PoolError
from app.venues.routing.curve import Curve, Piece, parallel, series, split
from app.venues.routing.profiles import profile
from tests.venues.routing.markets import MAKERS, a_pool, a_sale

MOST = 10.0**9


def constant_product(reserve_in: float, reserve_out: float, kept: float = 1.0) -> Curve:
    return Curve([Piece((reserve_in / (reserve_out * kept)) ** 0.5, kept / reserve_in, MOST)])


def test_constant_products_are_split_by_the_closed_form() -> None:
    """Angeris et al., Optimal Routing for Constant Function Market Makers, section 3: √(γRᵢRₒ/λ) = Rᵢ + γx."""
    pools = [(1e9, 2e9, 0.9975), (3e9, 6.1e9, 0.997), (5e8, 1e9, 0.99)]
    amount = 4e8
    _, parts = split([constant_product(*pool) for pool in pools], amount)
    total = sum((kept * r_in * r_out) ** 0.5 / kept for r_in, r_out, kept in pools)
    root = (amount + sum(r_in / kept for r_in, _, kept in pools)) / total  # 1/√λ
    expected = [((kept * r_in * r_out) ** 0.5 * root - r_in) / kept for r_in, r_out, kept in pools]
    assert min(expected) > 0
    assert parts == pytest.approx(expected, rel=1e-9)


def test_a_pool_that_is_too_dear_gets_nothing() -> None:
    _, parts = split([constant_product(1e9, 2e9), constant_product(1e9, 1e9)], 1e7)
    assert parts == [pytest.approx(1e7), 0]


def test_bins_are_filled_in_the_order_of_their_prices() -> None:
    one, other = Curve([Piece(1.0, 0, 10), Piece(3.0, 0, 10)]), Curve([Piece(2.0, 0, 10)])
    assert split([one, other], 5) == (1.0, [5, 0])
    assert split([one, other], 14) == (2.0, [10, 4])
    assert split([one, other], 29) == (3.0, [19, 10])


def test_what_shares_an_input_is_one_curve() -> None:
    curves = [
        constant_product(1e9, 2e9),
        Curve([Piece(0.69, 0, 1e7), Piece(0.72, 1e-9, 1e8)]),
        constant_product(2e9, 3e9),
    ]
    together = parallel(curves)
    for amount in (1.0, 1e6, 1.5e7, 3e8, 1e9):
        _, parts = split(curves, amount)
        apart = sum(curve.output(part) for curve, part in zip(curves, parts, strict=True))
        assert together.output(amount) == pytest.approx(apart, rel=1e-9)


def test_what_feeds_another_is_one_curve() -> None:
    first = Curve([Piece(0.5, 1e-9, 1e8), Piece(0.7, 0, 1e7), Piece(0.8, 1e-8, 1e7)])
    second = Curve([Piece(2.0, 0, 1e8), Piece(2.5, 1e-9, 1e8), Piece(3.0, 0, 1e9)])
    chain = series(first, second)
    assert chain.capacity == pytest.approx(first.capacity)
    for amount in (1.0, 1e7, 5e7, 1.05e8, 1.2e8):
        assert chain.output(amount) == pytest.approx(second.output(first.output(amount)), rel=1e-9)


def test_a_chain_goes_as_far_as_its_second_half_takes() -> None:
    chain = series(constant_product(1e9, 1e9), Curve([Piece(1.0, 0, 1e6)]))
    assert chain.capacity == pytest.approx(1e6 * 1e9 / (1e9 - 1e6))


def test_a_price_that_gets_better_on_the_way_counts_as_if_it_stayed() -> None:
    curve = Curve([Piece(1.0, 1e-3, 100), Piece(1.05, 1e-3, 100)])
    assert [piece.start for piece in curve.pieces] == sorted(piece.start for piece in curve.pieces)
    assert curve.pieces[-1].end == pytest.approx(1.05 * 1.1)
    assert curve.capacity == pytest.approx(200)


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker[2].__name__)
def test_the_curve_of_a_pool_gives_what_the_pool_gives(maker: tuple) -> None:  # type: ignore[type-arg]
    random = Random(4)
    for _ in range(20):
        pool = a_pool(random, (SOL, USDC), maker)
        token_in, _, amount = a_sale(random, usd_from=2)
        a_to_b = token_in == SOL
        curve = profile(pool.state, a_to_b, pool.at, amount)
        for part in (0.1, 0.5, 1.0):
            given = int(min(amount, curve.capacity) * part)
            try:
                exact = pool.state.amount_out(given, a_to_b, pool.at)
            except PoolError:
                assert part == 1  # the last unit of a pool that cannot take it all
                continue
            # A fee that falls on the way makes the curve a little worse than the pool.
            assert curve.output(given) == pytest.approx(exact, rel=1e-4, abs=200)

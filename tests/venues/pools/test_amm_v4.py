from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from app.venues.pools.amm_v4 import AmmV4Pool
from app.venues.pools.quote import AmountTooSmall, Fees, InsufficientLiquidity, PoolQuote
from tests.venues.pools.vectors import decimals, differences, half_up

VECTORS = "raydium_ammv4"


def pool_of(state: dict[str, Any]) -> AmmV4Pool:
    return AmmV4Pool(
        int(state["baseReserve"]),
        int(state["quoteReserve"]),
        int(state["swapFeeNumerator"]),
        int(state["swapFeeDenominator"]),
    )


def impact_percent(quote: PoolQuote[AmmV4Pool]) -> str:
    """As the SDK states it: without the fee, and not a number where the fee takes everything."""
    if quote.amount_in == quote.fees_in.total:
        with pytest.raises(ZeroDivisionError):
            _ = quote.price_impact_before_fees
        return "NaN"
    return decimals(100 * quote.price_impact_before_fees)


def ours(line: dict[str, Any]) -> dict[str, str]:
    pool, amount, a_to_b = pool_of(line["state"]), int(line["amount"]), line["direction"] == "baseToQuote"
    quote = pool.quote_exact_in(amount, a_to_b)
    assert pool.amount_out(amount, a_to_b) == quote.amount_out
    return {
        "amountOut": str(quote.amount_out),
        "minAmountOut": str(half_up(quote.amount_out * (1 - Fraction(line["slippage"])))),
        "fee": str(quote.fees_in.total),
        "priceImpactPct": impact_percent(quote),
    }


def test_every_line_equals_the_sdk() -> None:
    assert differences(VECTORS, ours) == {}


def test_the_fee_stays_in_the_pool() -> None:
    quote = AmmV4Pool(10**9, 10**9).quote_exact_in(10**6, a_to_b=False)
    assert (quote.fees_in, quote.fees_out) == (Fees(lp=2_500), Fees())
    assert quote.after == AmmV4Pool(10**9 - quote.amount_out, 10**9 + 10**6)


def test_an_exact_output_costs_the_least_input_that_gives_it() -> None:
    pool = AmmV4Pool(10**12, 10**9)
    quote = pool.quote_exact_out(123_456, a_to_b=True)
    assert quote.amount_out == 123_456
    assert pool.amount_out(quote.amount_in, a_to_b=True) == 123_456
    assert pool.amount_out(quote.amount_in - 1, a_to_b=True) == 123_455
    assert quote.fees_in.total == -(-quote.amount_in * 25 // 10_000)


def test_more_than_the_reserve_is_insufficient_liquidity() -> None:
    with pytest.raises(InsufficientLiquidity):
        AmmV4Pool(10**9, 10**6).quote_exact_out(10**6, a_to_b=True)


@pytest.mark.parametrize("amount", [0, -1])
def test_nothing_is_too_small(amount: int) -> None:
    pool = AmmV4Pool(10**9, 10**6)
    for ask in (pool.amount_out, pool.quote_exact_in, pool.quote_exact_out):
        with pytest.raises(AmountTooSmall):
            ask(amount, a_to_b=True)

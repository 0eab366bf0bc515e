from __future__ import annotations

from typing import Any

import pytest

from app.venues.pools.cpmm import CpmmPool, CreatorFeeOn
from app.venues.pools.quote import AmountTooSmall, InsufficientLiquidity, PoolQuote
from tests.venues.pools.vectors import SHIPPED, decimals, differences, lines

VECTORS = "raydium_cpmm"


def pool_of(state: dict[str, Any]) -> CpmmPool:
    return CpmmPool(
        reserve_a=int(state["reserveIn"]),
        reserve_b=int(state["reserveOut"]),
        trade_fee_rate=int(state["tradeFeeRate"]),
        protocol_fee_rate=int(state["protocolFeeRate"]),
        fund_fee_rate=int(state["fundFeeRate"]),
        creator_fee_rate=int(state["creatorFeeRate"]),
        creator_fee_on=CreatorFeeOn.TOKEN_A if state["creatorFeeOnInput"] else CreatorFeeOn.TOKEN_B,
    )


def is_defect(line: dict[str, Any]) -> bool:
    """The SDK goes on with an amount below zero where the fees exceed the input; the program rejects it."""
    result = line.get("result", {})
    return (
        line["mode"] == "exactIn"
        and line["state"]["creatorFeeOnInput"]
        and int(result.get("tradeFee", 0)) + int(result.get("creatorFee", 0)) > int(line["amount"])
    )


def result(quote: PoolQuote[CpmmPool]) -> dict[str, str]:
    fees, fees_out = quote.fees_in, quote.fees_out
    numbers = {
        "amountIn": quote.amount_in,
        "amountOut": quote.amount_out,
        "tradeFee": fees.lp + fees.protocol + fees.fund,
        "protocolFee": fees.protocol,
        "fundFee": fees.fund,
        "creatorFee": fees.creator + fees_out.creator,
        "newInputVault": quote.after.reserve_a - fees.lp,
        "newOutputVault": quote.after.reserve_b,
        "priceImpact": decimals(quote.price_impact),
    }
    return {key: str(number) for key, number in numbers.items()}


def ours(line: dict[str, Any]) -> dict[str, str]:
    pool, amount = pool_of(line["state"]), int(line["amount"])
    if is_defect(line):
        with pytest.raises(AmountTooSmall):
            pool.quote_exact_in(amount, a_to_b=True)
        return dict(line["result"])
    if line["mode"] == "exactOut":
        return result(pool.quote_exact_out(amount, a_to_b=True))
    quote = pool.quote_exact_in(amount, a_to_b=True)
    assert pool.amount_out(amount, a_to_b=True) == quote.amount_out
    return result(quote)


def test_every_line_equals_the_sdk() -> None:
    assert differences(VECTORS, ours) == {}


def test_the_defects_of_the_sdk_in_the_shipped_lines_are_these() -> None:
    assert [line["id"] for line in lines(VECTORS, SHIPPED) if is_defect(line)] == ["cpmm-184", "cpmm-904"]


def test_a_swap_the_other_way_is_the_swap_of_the_mirrored_pool() -> None:
    pool = CpmmPool(7_000_003, 90_001, 2_500, 120_000, 40_000, 3_000, CreatorFeeOn.TOKEN_A)
    mirrored = CpmmPool(90_001, 7_000_003, 2_500, 120_000, 40_000, 3_000, CreatorFeeOn.TOKEN_B)
    quote, same = pool.quote_exact_in(12_345, a_to_b=False), mirrored.quote_exact_in(12_345, a_to_b=True)
    assert (quote.amount_out, quote.fees_in, quote.fees_out) == (same.amount_out, same.fees_in, same.fees_out)
    assert (quote.after.reserve_a, quote.after.reserve_b) == (same.after.reserve_b, same.after.reserve_a)
    assert quote.fees_out.creator > 0


@pytest.mark.parametrize("a_to_b", [True, False])
def test_a_creator_paid_in_the_input_is_paid_in_it_either_way(a_to_b: bool) -> None:
    quote = CpmmPool(10**9, 10**9, 2_500, 0, 0, 3_000, CreatorFeeOn.INPUT).quote_exact_in(10**6, a_to_b)
    assert (quote.fees_in.creator, quote.fees_out.total) == (3_000, 0)


def test_more_than_the_reserve_is_insufficient_liquidity() -> None:
    pool = CpmmPool(10**9, 10**6, 2_500, 120_000, 40_000)
    with pytest.raises(InsufficientLiquidity):
        pool.quote_exact_out(10**6, a_to_b=True)
    assert pool.quote_exact_out(10**6 - 1, a_to_b=True).after.reserve_b == 1


@pytest.mark.parametrize("amount", [0, -1])
def test_nothing_is_too_small(amount: int) -> None:
    pool = CpmmPool(10**9, 10**6, 2_500, 120_000, 40_000)
    for ask in (pool.amount_out, pool.quote_exact_in, pool.quote_exact_out):
        with pytest.raises(AmountTooSmall):
            ask(amount, a_to_b=True)

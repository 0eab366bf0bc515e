from __future__ import annotations

from typing import Any, Final

import pytest
from msgspec.structs import replace

from app.venues.pools.clmm import ClmmPool, DynamicFee
from app.venues.pools.clmm_swap import ClmmSwap
from app.venues.pools.clmm_ticks import (
    MAX_SQRT_PRICE,
    MAX_TICK,
    MIN_SQRT_PRICE,
    MIN_TICK,
    sqrt_price_at_tick,
    tick_at_sqrt_price,
)
from app.venues.pools.quote import AmountTooSmall, InsufficientLiquidity, PoolError, PriceRangeViolation
from tests.venues.pools.vectors import SHIPPED, differences, lines

VECTORS: Final = "raydium_clmm"


def pool_of(state: dict[str, Any]) -> ClmmPool:
    return ClmmPool(
        tick_spacing=state["tickSpacing"],
        tick=state["tickCurrent"],
        sqrt_price=int(state["sqrtPriceX64"]),
        liquidity=int(state["liquidity"]),
        fee_on=state["feeOn"],
        trade_fee_rate=state["tradeFeeRate"],
        protocol_fee_rate=state["protocolFeeRate"],
        fund_fee_rate=state["fundFeeRate"],
        ticks=tuple(tick for tick, _, _ in state["ticks"]),
        liquidity_nets=tuple(int(net) for _, net, _ in state["ticks"]),
        dynamic_fee=state["dynamicFee"] and dynamic_fee_of(state["dynamicFee"]),
    )


def dynamic_fee_of(state: dict[str, Any]) -> DynamicFee:
    return DynamicFee(
        filter_period=state["filterPeriod"],
        decay_period=state["decayPeriod"],
        reduction_factor=state["reductionFactor"],
        control=state["dynamicFeeControl"],
        max_volatility=state["maxVolatilityAccumulator"],
        index_reference=state["tickSpacingIndexReference"],
        volatility_reference=state["volatilityReference"],
        volatility=state["volatilityAccumulator"],
        updated_at=int(state["lastUpdateTimestamp"]),
    )


def swap_of(line: dict[str, Any]) -> ClmmSwap:
    amount, way, at = int(line["amount"]), line["zeroForOne"], line["blockTimestamp"]
    return pool_of(line["state"]).swap(amount, way, at, exact_in=line["mode"] == "exactIn")


def is_defect(line: dict[str, Any]) -> bool:
    """The SDK says that all was traded where the price stopped at its limit; the program rejects a partial fill."""
    swap = swap_of(line)
    return swap.remaining > 0 and swap.price == swap.limit


def result(swap: ClmmSwap) -> dict[str, Any]:
    return {
        "allTrade": not swap.remaining,
        "amountCalculated": str(swap.calculated),
        "amountRemaining": str(swap.remaining),
        "fee": str(sum(swap.fees)),
        "sqrtPriceX64": str(swap.price),
        "tick": swap.tick,
        "liquidity": str(swap.liquidity),
    }


def refusal(swap: ClmmSwap) -> type[PoolError]:
    if not swap.remaining:
        return AmountTooSmall
    return PriceRangeViolation if swap.price == swap.limit else InsufficientLiquidity


def assert_quote_is(swap: ClmmSwap, line: dict[str, Any]) -> None:
    """The pool's answer is the swap, or a refusal where the program would fail."""
    pool, amount, exact_in = swap.pool, int(line["amount"]), line["mode"] == "exactIn"
    ask = pool.quote_exact_in if exact_in else pool.quote_exact_out
    way, at = line["zeroForOne"], line["blockTimestamp"]
    if swap.remaining or not swap.calculated:
        with pytest.raises(refusal(swap)):
            ask(amount, way, at)
        if exact_in:
            with pytest.raises(refusal(swap)):
                pool.amount_out(amount, way, at)
        return
    quote = ask(amount, way, at)
    amounts = (quote.amount_in, quote.amount_out)
    assert amounts == ((amount, swap.calculated) if exact_in else (swap.calculated, amount))
    assert quote.fees_in.total + quote.fees_out.total == sum(swap.fees)
    after = quote.after
    assert (after.sqrt_price, after.tick, after.liquidity) == (swap.price, swap.tick, swap.liquidity)
    if exact_in:
        assert pool.amount_out(amount, way, at) == quote.amount_out


def ours(line: dict[str, Any]) -> dict[str, Any]:
    swap = swap_of(line)
    assert_quote_is(swap, line)
    if is_defect(line):
        return result(swap) | {"allTrade": True, "amountRemaining": "0"}
    return result(swap)


def test_every_line_equals_the_sdk() -> None:
    assert differences(VECTORS, ours) == {}


def test_the_defects_of_the_sdk_in_the_shipped_lines_are_these() -> None:
    assert [line["id"] for line in lines(VECTORS, SHIPPED) if is_defect(line)] == [
        "clmm-782",
        "clmm-1384",
        "clmm-1518",
        "clmm-1549",
        "clmm-1559",
        "clmm-1629",
        "clmm-1722",
        "clmm-1783",
        "clmm-1882",
        "clmm-1991",
    ]


def test_the_shipped_lines_meet_every_kind_of_refusal() -> None:
    met = {
        refusal(swap)
        for swap in map(swap_of, lines(VECTORS, SHIPPED))
        if swap.remaining or not swap.calculated
    }
    assert met == {AmountTooSmall, InsufficientLiquidity, PriceRangeViolation}


def test_ticks_and_prices_agree() -> None:
    assert (sqrt_price_at_tick(MIN_TICK), sqrt_price_at_tick(MAX_TICK)) == (MIN_SQRT_PRICE, MAX_SQRT_PRICE)
    for tick in (*range(MIN_TICK, MAX_TICK, 9_973), -2, -1, 0, 1, 2):
        price = sqrt_price_at_tick(tick)
        assert tick_at_sqrt_price(price) == tick
        assert tick_at_sqrt_price(price + 1) == tick
        assert tick == MIN_TICK or tick_at_sqrt_price(price - 1) == tick - 1


def a_pool(**changes: Any) -> ClmmPool:
    fields: dict[str, Any] = {
        "tick_spacing": 10,
        "tick": 0,
        "sqrt_price": sqrt_price_at_tick(0),
        "liquidity": 10**12,
        "fee_on": 0,
        "trade_fee_rate": 2_500,
        "protocol_fee_rate": 120_000,
        "fund_fee_rate": 40_000,
        "ticks": (-10_000, 10_000),
        "liquidity_nets": (10**12, -(10**12)),
    }
    return ClmmPool(**(fields | changes))


@pytest.mark.parametrize(
    ("fee_on", "zero_for_one", "on_input"),
    [
        (0, True, True),
        (0, False, True),
        (1, True, True),
        (1, False, False),
        (2, True, False),
        (2, False, True),
    ],
)
def test_the_fee_is_of_the_token_that_the_pool_names(fee_on: int, zero_for_one: bool, on_input: bool) -> None:
    quote = a_pool(fee_on=fee_on).quote_exact_in(10**9, zero_for_one)
    assert (quote.fees_in.total > 0, quote.fees_out.total > 0) == (on_input, not on_input)


def test_protocol_and_fund_have_their_shares_of_the_trade_fee() -> None:
    fees = a_pool().quote_exact_in(10**9, a_to_b=True).fees_in
    assert (fees.total, fees.protocol, fees.fund) == (2_500_000, 300_000, 100_000)


DYNAMIC: Final = DynamicFee(30, 600, 5_000, 10_000, 300_000, 0, 0, 80_000, 1_000)


@pytest.mark.parametrize(
    ("elapsed", "reference", "updated_at"),
    [(29, 0, 1_000), (30, 40_000, 1_030), (600, 0, 1_600), (-5, 0, 1_000)],
)
def test_volatility_decays_with_time(elapsed: int, reference: int, updated_at: int) -> None:
    after = (
        a_pool(dynamic_fee=DYNAMIC).quote_exact_in(10**6, a_to_b=True, at=1_000 + elapsed).after.dynamic_fee
    )
    assert after is not None
    assert (after.volatility_reference, after.updated_at) == (reference, updated_at)


def test_a_swap_that_moves_the_price_makes_the_next_one_dearer() -> None:
    pool = a_pool(dynamic_fee=DYNAMIC)
    quote = pool.quote_exact_in(10**10, a_to_b=True, at=5_000)
    after = quote.after.dynamic_fee
    assert after is not None
    assert after.volatility == -(quote.after.tick // 10) * 10_000 > 0
    steady = a_pool().quote_exact_in(10**10, a_to_b=True)
    assert quote.fees_in.total > steady.fees_in.total
    again = quote.after.quote_exact_in(10**6, a_to_b=True, at=5_001)
    assert again.fees_in.total > pool.quote_exact_in(10**6, a_to_b=True, at=5_000).fees_in.total


@pytest.mark.parametrize(("fee_on", "kind"), [(0, AmountTooSmall), (2, InsufficientLiquidity)])
def test_an_input_that_cannot_move_the_price_is_refused(fee_on: int, kind: type[PoolError]) -> None:
    """A fee on the input takes it all; without one the program would try for ever."""
    deep = a_pool(fee_on=fee_on, liquidity=1 << 80, liquidity_nets=(1 << 80, -(1 << 80)))
    for pool in (deep, replace(deep, dynamic_fee=DYNAMIC)):
        with pytest.raises(kind):
            pool.quote_exact_in(1, a_to_b=True)


@pytest.mark.parametrize("amount", [0, -1])
def test_nothing_is_too_small(amount: int) -> None:
    for ask in (a_pool().amount_out, a_pool().quote_exact_in, a_pool().quote_exact_out):
        with pytest.raises(AmountTooSmall):
            ask(amount, a_to_b=True)

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from app.orders.amounts import BPS, min_amount_out
from app.venues.pools.damm_v2 import CALM, CollectFee, DammV2Pool, DammV2Terms
from app.venues.pools.damm_v2_fees import BaseFee, FeeSchedule, FeeTerms, FeeVersion
from app.venues.pools.damm_v2_volatility import DynamicFee, Volatility
from app.venues.pools.integers import Q64, pow_q64
from app.venues.pools.quote import AmountTooSmall, InsufficientLiquidity, PriceRangeViolation
from tests.venues.pools.vectors import decimals, differences

VECTORS = "meteora_dammv2"


def pool_of(state: dict[str, Any]) -> DammV2Pool:
    base, dynamic = state["baseFee"], state["dynamicFee"]
    compounding = state["compoundingFeeBps"] if state["collectFeeMode"] == CollectFee.COMPOUNDING.value else 0
    terms = DammV2Terms(
        collect_fee=CollectFee(state["collectFeeMode"]),
        fee_version=FeeVersion(state["feeVersion"]),
        sqrt_min_price=int(state["sqrtMinPrice"]),
        sqrt_max_price=int(state["sqrtMaxPrice"]),
        activation_point=int(state["activationPoint"]),
        base_fee=BaseFee(
            int(base["cliffFeeNumerator"]),
            FeeSchedule(base["mode"]),
            base["numberOfPeriod"],
            int(base["periodFrequency"]),
            int(base["reductionFactor"]),
        ),
        fee_terms=FeeTerms(state["protocolFeePercent"], state["referralFeePercent"], compounding),
        dynamic_fee=DynamicFee(dynamic["binStep"], dynamic["variableFeeControl"]) if dynamic else None,
    )
    return DammV2Pool(
        terms,
        sqrt_price=int(state["sqrtPrice"]),
        liquidity=int(state["liquidity"]),
        token_a_amount=int(state["tokenAAmount"]),
        token_b_amount=int(state["tokenBAmount"]),
        volatility=Volatility(int(dynamic["volatilityAccumulator"])) if dynamic else CALM,
    )


def ours(line: dict[str, Any]) -> dict[str, str]:
    pool, amount, a_to_b, at = (
        pool_of(line["state"]),
        int(line["amount"]),
        line["aToB"],
        int(line["currentPoint"]),
    )
    bps = line["slippageBps"]
    if line["mode"] == "exactIn":
        quote = pool.quote_exact_in(amount, a_to_b, at, referral=line["hasReferral"])
        assert pool.amount_out(amount, a_to_b, at) == quote.amount_out
        limit = min_amount_out(quote.amount_out, bps)
    else:
        quote = pool.quote_exact_out(amount, a_to_b, at, referral=line["hasReferral"])
        limit = quote.amount_in * (BPS + bps) // BPS
    assert not (quote.fees_in.total and quote.fees_out.total)
    fees = quote.fees_in if quote.fees_in.total else quote.fees_out
    numbers = {
        "amountIn": quote.amount_in,
        "amountOut": quote.amount_out,
        "claimingFee": fees.lp,
        "compoundingFee": fees.compounding,
        "protocolFee": fees.protocol,
        "referralFee": fees.referral,
        "nextSqrtPrice": quote.after.sqrt_price,
        "limit": limit,
        "priceImpactPct": decimals(100 * abs(quote.price_impact if a_to_b else quote.markup)),
    }
    return {key: str(number) for key, number in numbers.items()}


def test_every_line_equals_the_sdk() -> None:
    assert differences(VECTORS, ours) == {}


def a_pool(**changes: Any) -> DammV2Pool:
    """SOL at about 150 USDC over the widest range, with a fee of 1 % in whichever token comes out."""
    terms = DammV2Terms(
        CollectFee.OUTPUT,
        FeeVersion.V1,
        sqrt_min_price=4_295_048_016,
        sqrt_max_price=79_226_673_521_066_979_257_578_248_091,
        activation_point=1_000,
        base_fee=BaseFee(10_000_000),
        fee_terms=FeeTerms(),
    )
    of_terms = {key: changes.pop(key) for key in list(changes) if key in DammV2Terms.__struct_fields__}
    sqrt_price = 7_144_394_000_000_000_000
    pool = DammV2Pool(
        msgspec.structs.replace(terms, **of_terms),
        sqrt_price=sqrt_price,
        liquidity=10**15 * sqrt_price,
        token_a_amount=10**15,
        token_b_amount=10**15 * sqrt_price**2 >> 128,
    )
    return msgspec.structs.replace(pool, **changes)


@pytest.mark.parametrize(
    ("at", "linear", "exponential"),
    [
        (999, 100_000_000, 315_503_164),  # before activation: what the last period asks
        (1_000, 500_000_000, 500_000_000),
        (1_059, 500_000_000, 500_000_000),
        (1_060, 460_000_000, 477_500_000),
        (1_599, 140_000_000, 330_369_806),
        (1_600, 100_000_000, 315_503_164),
        (10**12, 100_000_000, 315_503_164),
    ],
)
def test_the_base_fee_falls_period_by_period(at: int, linear: int, exponential: int) -> None:
    falling = BaseFee(
        500_000_000, FeeSchedule.LINEAR, periods=10, period_length=60, reduction_factor=40_000_000
    )
    decaying = BaseFee(
        500_000_000, FeeSchedule.EXPONENTIAL, periods=10, period_length=60, reduction_factor=450
    )
    assert a_pool(base_fee=falling).fee_numerator(at) == linear
    assert a_pool(base_fee=decaying).fee_numerator(at) == exponential


@pytest.mark.parametrize(("version", "most"), [(FeeVersion.V0, 500_000_000), (FeeVersion.V1, 990_000_000)])
def test_the_fee_of_a_stormy_market_is_capped(version: FeeVersion, most: int) -> None:
    pool = a_pool(fee_version=version, dynamic_fee=DynamicFee(1, 10**9), volatility=Volatility(10**7))
    assert pool.fee_numerator(0) == most


def test_volatility_adds_to_the_fee_rounded_up() -> None:
    pool = a_pool(dynamic_fee=DynamicFee(bin_step=2, variable_fee_control=1), volatility=Volatility(500_001))
    assert pool.fee_numerator(0) == 10_000_000 + 11


@pytest.mark.parametrize(
    ("collect_fee", "a_to_b", "side"),
    [
        (CollectFee.OUTPUT, True, "out"),
        (CollectFee.OUTPUT, False, "out"),
        (CollectFee.TOKEN_B, True, "out"),
        (CollectFee.TOKEN_B, False, "in"),
        (CollectFee.COMPOUNDING, True, "out"),
        (CollectFee.COMPOUNDING, False, "in"),
    ],
)
def test_the_fee_is_taken_in_the_token_that_the_mode_says(
    collect_fee: CollectFee, a_to_b: bool, side: str
) -> None:
    quote = a_pool(collect_fee=collect_fee).quote_exact_in(10**9, a_to_b)
    taken, other = (quote.fees_in, quote.fees_out) if side == "in" else (quote.fees_out, quote.fees_in)
    assert taken.total > 0
    assert other.total == 0


def test_a_compounding_fee_deepens_the_pool_and_the_rest_leaves_it() -> None:
    pool = a_pool(collect_fee=CollectFee.COMPOUNDING, fee_terms=FeeTerms(20, 20, 2_500))
    quote = pool.quote_exact_in(10**9, a_to_b=False, referral=True)
    fees = quote.fees_in
    assert (fees.total, fees.protocol, fees.referral) == (10**7, 1_600_000, 400_000)
    assert (fees.lp, fees.compounding) == (6_000_000, 2_000_000)
    assert quote.after.token_b_amount == pool.token_b_amount + 10**9 - 8_000_000


def test_a_price_range_ends_where_it_says() -> None:
    pool = a_pool()
    edge = pool.quote_exact_in(10**12, a_to_b=True).after.sqrt_price
    narrow = a_pool(sqrt_min_price=edge)
    assert narrow.amount_out(10**12, a_to_b=True) == pool.amount_out(10**12, a_to_b=True)
    for ask in (narrow.amount_out, narrow.quote_exact_in):
        with pytest.raises(PriceRangeViolation):
            ask(10**12 + 10**6, a_to_b=True)
    with pytest.raises(PriceRangeViolation):
        narrow.quote_exact_out(pool.amount_out(10**12 + 10**6, a_to_b=True), a_to_b=True)


@pytest.mark.parametrize("collect_fee", list(CollectFee))
@pytest.mark.parametrize("a_to_b", [True, False])
def test_more_than_the_pool_holds_is_insufficient_liquidity(collect_fee: CollectFee, a_to_b: bool) -> None:
    with pytest.raises(InsufficientLiquidity):
        a_pool(collect_fee=collect_fee).quote_exact_out(10**18, a_to_b)


@pytest.mark.parametrize("amount", [0, -1])
def test_nothing_is_too_small(amount: int) -> None:
    pool = a_pool()
    for ask in (pool.amount_out, pool.quote_exact_in, pool.quote_exact_out):
        with pytest.raises(AmountTooSmall):
            ask(amount, a_to_b=True)


def test_a_power_of_one_or_more_goes_by_its_reciprocal() -> None:
    assert pow_q64(Q64 + Q64 // 10, 2) == pytest.approx(1.21 * Q64, rel=1e-15)
    assert pow_q64(Q64, 0) == Q64
    assert pow_q64(Q64 // 2, 3) == Q64 // 8
    assert pow_q64(Q64 // 2, 0x80001) == 0

"""Pools as Hypothesis draws them: shallow and deep, cheap and dear, with every kind of fee."""

from __future__ import annotations

from math import isqrt
from typing import Final, TypeAlias

from hypothesis import settings
from hypothesis import strategies as st

from app.venues.pools import damm_v2_curve
from app.venues.pools.amm_v4 import AmmV4Pool
from app.venues.pools.cpmm import CpmmPool, CreatorFeeOn
from app.venues.pools.damm_v2 import CollectFee, DammV2Pool, DammV2Terms
from app.venues.pools.damm_v2_fees import BaseFee, FeeSchedule, FeeTerms, FeeVersion
from app.venues.pools.damm_v2_volatility import DynamicFee, Volatility

AnyPool: TypeAlias = CpmmPool | AmmV4Pool | DammV2Pool

SWAPS: Final = settings(max_examples=150)

ACTIVATION: Final = 1_700_000_000
MIN_SQRT_PRICE: Final = 4_295_048_016
MAX_SQRT_PRICE: Final = 79_226_673_521_066_979_257_578_248_091

amounts = st.integers(0, 63).flatmap(lambda bits: st.integers(1, 2**bits))
reserves = st.integers(1, 62).flatmap(lambda bits: st.integers(1, 2**bits))
times = st.integers(ACTIVATION - 100, ACTIVATION + 10**6)

cpmm_pools = st.builds(
    CpmmPool,
    reserves,
    reserves,
    trade_fee_rate=st.integers(0, 100_000),
    protocol_fee_rate=st.integers(0, 500_000),
    fund_fee_rate=st.integers(0, 500_000),
    creator_fee_rate=st.integers(0, 100_000),
    creator_fee_on=st.sampled_from(CreatorFeeOn),
)

amm_v4_pools = st.builds(AmmV4Pool, reserves, reserves)

falling_fees = st.one_of(
    st.builds(BaseFee, st.integers(100_000, 900_000_000)),
    st.builds(
        BaseFee,
        st.integers(100_000_000, 900_000_000),
        st.just(FeeSchedule.LINEAR),
        periods=st.integers(0, 100),
        period_length=st.integers(1, 10_000),
        reduction_factor=st.integers(0, 999_999),
    ),
    st.builds(
        BaseFee,
        st.integers(100_000_000, 900_000_000),
        st.just(FeeSchedule.EXPONENTIAL),
        periods=st.integers(0, 1_000),
        period_length=st.integers(1, 10_000),
        reduction_factor=st.integers(0, 999),
    ),
)

dynamic_fees = st.builds(DynamicFee, st.just(1), variable_fee_control=st.integers(0, 100_000))
volatilities = st.builds(
    Volatility, st.integers(0, 14_460_000), st.integers(0, 14_460_000), st.integers(0, 2**96), times
)


@st.composite
def damm_v2_terms(draw: st.DrawFn, collect_fee: CollectFee, sqrt_price: int) -> DammV2Terms:
    compounding_bps = draw(st.integers(0, 10_000)) if collect_fee is CollectFee.COMPOUNDING else 0
    return DammV2Terms(
        collect_fee,
        draw(st.sampled_from(FeeVersion)),
        sqrt_min_price=draw(st.integers(MIN_SQRT_PRICE, sqrt_price)),
        sqrt_max_price=draw(st.integers(sqrt_price, MAX_SQRT_PRICE)),
        activation_point=ACTIVATION,
        base_fee=draw(falling_fees),
        fee_terms=FeeTerms(draw(st.integers(0, 50)), draw(st.integers(0, 50)), compounding_bps),
        dynamic_fee=draw(st.none() | dynamic_fees),
    )


@st.composite
def damm_v2_pools(draw: st.DrawFn) -> DammV2Pool:
    """Its reserves are what its liquidity needs; in a compounding pool they are drawn and its price follows."""
    volatility = draw(volatilities)
    collect_fee = draw(st.sampled_from(CollectFee))
    sqrt_price = draw(
        st.integers(33, 95).flatmap(lambda bits: st.integers(2**bits, min(2 ** (bits + 1), MAX_SQRT_PRICE)))
    )
    terms = draw(damm_v2_terms(collect_fee, sqrt_price))
    liquidity = draw(st.integers(64, 127).flatmap(lambda bits: st.integers(2**bits, 2 ** (bits + 1))))
    if collect_fee is CollectFee.COMPOUNDING:
        token_a, token_b = draw(reserves), draw(reserves)
        return DammV2Pool(terms, isqrt((token_b << 128) // token_a), liquidity, token_a, token_b, volatility)
    token_a, token_b = damm_v2_curve.reserves(
        sqrt_price, terms.sqrt_min_price, terms.sqrt_max_price, liquidity
    )
    return DammV2Pool(terms, sqrt_price, liquidity, token_a, token_b, volatility)


constant_products: st.SearchStrategy[AnyPool] = st.one_of(cpmm_pools, amm_v4_pools)
pools: st.SearchStrategy[AnyPool] = st.one_of(cpmm_pools, amm_v4_pools, damm_v2_pools())


def reserves_of(pool: AnyPool) -> tuple[int, int]:
    if isinstance(pool, DammV2Pool):
        return pool.token_a_amount, pool.token_b_amount
    return pool.reserve_a, pool.reserve_b


@st.composite
def purchases(draw: st.DrawFn, of: st.SearchStrategy[AnyPool] = pools) -> tuple[AnyPool, int, bool]:
    """A pool, an amount that it may be asked to give, and whether it is of token B."""
    pool, a_to_b = draw(of), draw(st.booleans())
    held = reserves_of(pool)[1 if a_to_b else 0]
    most = draw(st.integers(0, held.bit_length()).map(lambda bits: max(1, held >> bits)))
    return pool, draw(st.integers(1, most)), a_to_b

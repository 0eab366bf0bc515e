"""Pools of ticks and of bins as Hypothesis draws them: few and many, full and empty, with every kind of fee."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate
from typing import Final

from hypothesis import strategies as st

from app.venues.pools.clmm import ClmmPool, DynamicFee
from app.venues.pools.clmm_ticks import sqrt_price_at_tick
from app.venues.pools.dlmm import DlmmPool
from app.venues.pools.dlmm_bins import Bin, bin_price

NOW: Final = 1_700_000_000
AnyPool = ClmmPool | DlmmPool

amounts = st.integers(0, 50).flatmap(lambda bits: st.integers(1, 2**bits))
times = st.integers(NOW, NOW + 1_000)
volatilities = st.integers(0, 400_000)


@st.composite
def dynamic_fees(draw: st.DrawFn, index: int) -> DynamicFee:
    return DynamicFee(
        filter_period=30,
        decay_period=600,
        reduction_factor=draw(st.integers(1, 9_999)),
        control=draw(st.integers(1, 99_999)),
        max_volatility=draw(volatilities),
        index_reference=index + draw(st.integers(-20, 20)),
        volatility_reference=draw(volatilities),
        volatility=draw(volatilities),
        updated_at=NOW - draw(st.integers(0, 700)),
    )


@st.composite
def clmm_pools(draw: st.DrawFn) -> ClmmPool:
    """Ranges of liquidity around a price that may be inside them, outside, or right on a tick."""
    spacing = draw(st.sampled_from([1, 10, 60]))
    index = draw(st.integers(-3_000, 3_000))
    nets: Counter[int] = Counter()
    for _ in range(draw(st.integers(1, 4))):
        lower = index + draw(st.integers(-12, 8))
        liquidity = draw(st.integers(1, 60).flatmap(lambda bits: st.integers(1, 2**bits)))
        nets[lower * spacing] += liquidity
        nets[(lower + draw(st.integers(1, 15))) * spacing] -= liquidity
    ticks = sorted(nets)
    tick = index * spacing + draw(st.integers(0, spacing - 1))
    low, high = sqrt_price_at_tick(tick), sqrt_price_at_tick(tick + 1)
    return ClmmPool(
        tick_spacing=spacing,
        tick=tick,
        sqrt_price=draw(st.just(low) | st.integers(low, high - 1)),
        liquidity=sum(nets[below] for below in ticks if below <= tick),
        fee_on=draw(st.sampled_from([0, 1, 2])),
        trade_fee_rate=draw(st.integers(0, 50_000)),
        protocol_fee_rate=draw(st.integers(0, 500_000)),
        fund_fee_rate=draw(st.integers(0, 500_000)),
        ticks=tuple(ticks),
        liquidity_nets=tuple(nets[tick] for tick in ticks),
        dynamic_fee=draw(st.none() | dynamic_fees(tick // spacing)),
    )


held = st.just(0) | amounts


@st.composite
def dlmm_pools(draw: st.DrawFn) -> DlmmPool:
    """Bins around the active one, some missing, Y below it, X above it, both in it, perhaps with limit orders."""
    active_id, step = draw(st.integers(-1_500, 1_500)), draw(st.sampled_from([1, 20, 100]))
    orders = draw(st.booleans())
    start = active_id - draw(st.integers(0, 6))
    bin_ids = tuple(accumulate(draw(st.lists(st.integers(1, 3), max_size=12)), initial=start))
    bins = []
    for bin_id in bin_ids:
        x, y = (draw(held) if bin_id >= active_id else 0), (draw(held) if bin_id <= active_id else 0)
        is_ask = bin_id > active_id or (bin_id == active_id and draw(st.booleans()))
        opened, processed = (draw(held), draw(held)) if orders else (0, 0)
        bins.append(Bin(x, y, bin_price(bin_id, step), opened, processed, is_ask))
    return DlmmPool(
        active_id=active_id,
        bin_step=step,
        base_factor=draw(st.integers(0, 20_000)),
        base_fee_power_factor=draw(st.integers(0, 1)),
        filter_period=30,
        decay_period=600,
        reduction_factor=draw(st.integers(0, 10_000)),
        variable_fee_control=draw(st.integers(0, 100_000)),
        max_volatility=draw(volatilities),
        protocol_share=draw(st.integers(0, 2_500)),
        collect_fee_mode=draw(st.sampled_from([0, 1])),
        limit_orders=orders,
        volatility=draw(volatilities),
        volatility_reference=draw(volatilities),
        index_reference=active_id + draw(st.integers(-20, 20)),
        updated_at=NOW - draw(st.integers(0, 700)),
        bin_ids=bin_ids,
        bins=tuple(bins),
    )


pools: st.SearchStrategy[AnyPool] = clmm_pools() | dlmm_pools()

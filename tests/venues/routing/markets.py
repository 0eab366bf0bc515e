"""Markets drawn from a seed: small ones that can be searched through, and large ones of every kind of pool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from math import log
from random import Random
from typing import Final, TypeAlias

import msgspec

from app.orders.tokens import BONK, JUP, SOL, USDC, USDT, Token
from app.venues.pools import damm_v2_curve
from app.venues.pools.amm_v4 import AmmV4Pool
from app.venues.pools.clmm import ClmmPool, DynamicFee
from app.venues.pools.clmm_ticks import MAX_SQRT_PRICE, MIN_SQRT_PRICE, sqrt_price_at_tick, tick_at_sqrt_price
from app.venues.pools.cpmm import CpmmPool
from app.venues.pools.damm_v2 import CollectFee, DammV2Pool, DammV2Terms
from app.venues.pools.damm_v2_fees import BaseFee, FeeTerms, FeeVersion
from app.venues.pools.dlmm import DlmmPool
from app.venues.pools.dlmm_bins import Bin, bin_price
from app.venues.pools.integers import Q64
from app.venues.pools.quote import Pool
from app.venues.routing.plan import PoolKind, RoutedPool

NOW: Final = 1_800_000_000
USD: Final = {SOL: 165.0, USDC: 1.0, USDT: 0.9995, BONK: 2e-5, JUP: 0.45}
LIQUIDITY_ENDS: Final = 40_000  # ticks from the price, so that large amounts find something

Maker: TypeAlias = Callable[[Random, float, float], Pool]


def a_small_pool(random: Random, pair: tuple[Token, Token]) -> RoutedPool:
    most = random.choice([30, 300, 3_000])
    reserve_a, reserve_b = random.randint(5, most), random.randint(5, most * random.choice([1, 1, 10]))
    rate = random.choice([100, 2_500, 3_000, 10_000, 40_000])
    kinds: list[tuple[PoolKind, Pool]] = [
        (PoolKind.AMM_V4, AmmV4Pool(reserve_a, reserve_b)),
        (PoolKind.CPMM, CpmmPool(reserve_a, reserve_b, rate, 120_000, 40_000)),
    ]
    kind, state = random.choice(kinds)
    return RoutedPool(f"{kind}-{random.getrandbits(64):x}", "raydium", kind, *pair, state)


def cpmm(random: Random, price: float, depth: float) -> Pool:
    rate = random.choice([1_000, 2_500, 3_000])
    return CpmmPool(int(depth / price), int(depth), rate, 120_000, 40_000)


def amm_v4(random: Random, price: float, depth: float) -> Pool:
    return AmmV4Pool(int(depth / price), int(depth))


def damm_v2(random: Random, price: float, depth: float) -> Pool:
    root = int(price**0.5 * Q64)
    liquidity = int(depth / price**0.5 * Q64)
    terms = DammV2Terms(
        random.choice([CollectFee.OUTPUT, CollectFee.TOKEN_B]),
        FeeVersion.V1,
        MIN_SQRT_PRICE,
        MAX_SQRT_PRICE,
        activation_point=0,
        base_fee=BaseFee(2_500_000),
        fee_terms=FeeTerms(),
    )
    held = damm_v2_curve.reserves(root, MIN_SQRT_PRICE, MAX_SQRT_PRICE, liquidity)
    return DammV2Pool(terms, root, liquidity, *held)


def clmm(random: Random, price: float, depth: float) -> ClmmPool:
    spacing, root = random.choice([1, 10]), int(price**0.5 * Q64)
    tick = tick_at_sqrt_price(root)
    index, unit = tick // spacing, depth / price**0.5
    nets: Counter[int] = Counter()
    for _ in range(8):
        width = random.randint(1, 60)
        _provide(
            nets, (index - width) * spacing, (index + 1 + width) * spacing, unit * random.uniform(0.5, 4)
        )
    far = LIQUIDITY_ENDS // spacing
    _provide(nets, (index - far) * spacing, (index + far) * spacing, unit / 4)
    ticks = sorted(nets)
    return ClmmPool(
        tick_spacing=spacing,
        tick=tick,
        sqrt_price=max(root, sqrt_price_at_tick(tick)),
        liquidity=sum(nets[below] for below in ticks if below <= tick),
        fee_on=random.choice([0, 1, 2]),
        trade_fee_rate=random.choice([400, 500, 2_500]),
        protocol_fee_rate=120_000,
        fund_fee_rate=40_000,
        ticks=tuple(ticks),
        liquidity_nets=tuple(nets[tick] for tick in ticks),
    )


def _provide(nets: Counter[int], lower: int, upper: int, liquidity: float) -> None:
    nets[lower] += int(liquidity)
    nets[upper] -= int(liquidity)


def volatile_clmm(random: Random, price: float, depth: float) -> ClmmPool:
    pool = clmm(random, price, depth)
    fee = DynamicFee(
        filter_period=30,
        decay_period=600,
        reduction_factor=5_000,
        control=20_000,
        max_volatility=350_000,
        index_reference=pool.tick // pool.tick_spacing,
        volatility_reference=random.randint(0, 100_000),
        volatility=random.randint(0, 100_000),
        updated_at=NOW - random.randint(0, 700),
    )
    return msgspec.structs.replace(pool, dynamic_fee=fee)


def dlmm(random: Random, price: float, depth: float) -> Pool:
    step = random.choice([4, 10, 20])
    active = round(log(price) / log(1 + step / 10_000))
    ids = tuple(range(active - 70, active + 71))
    bins = []
    for bin_id in ids:
        value, rate = depth / 20 * random.uniform(0.5, 2), bin_price(bin_id, step)
        both = 2 if bin_id == active else 1
        y = int(value / both) if bin_id <= active else 0
        x = int(value / both / (rate / Q64)) if bin_id >= active else 0
        bins.append(Bin(x, y, rate))
    return DlmmPool(
        active_id=active,
        bin_step=step,
        base_factor=random.choice([5_000, 10_000]),
        base_fee_power_factor=0,
        filter_period=30,
        decay_period=600,
        reduction_factor=5_000,
        variable_fee_control=random.choice([0, 7_500, 40_000]),
        max_volatility=350_000,
        protocol_share=500,
        collect_fee_mode=random.choice([0, 1]),
        limit_orders=False,
        volatility=random.randint(0, 50_000),
        volatility_reference=random.randint(0, 50_000),
        index_reference=active,
        updated_at=NOW - random.randint(0, 700),
        bin_ids=ids,
        bins=tuple(bins),
    )


MAKERS: Final[tuple[tuple[PoolKind, str, Maker], ...]] = (
    (PoolKind.CPMM, "raydium", cpmm),
    (PoolKind.AMM_V4, "raydium", amm_v4),
    (PoolKind.CLMM, "raydium", clmm),
    (PoolKind.CLMM, "raydium", volatile_clmm),
    (PoolKind.DLMM, "meteora", dlmm),
    (PoolKind.DAMM_V2, "meteora", damm_v2),
)


def a_pool(random: Random, pair: tuple[Token, Token], maker: tuple[PoolKind, str, Maker]) -> RoutedPool:
    """Around the pair's price, up to 8 bps off, with between 10⁵ and 10⁷ USD on either side."""
    kind, venue, make = maker
    base, quote = pair
    price = (
        USD[base] / USD[quote] * 10 ** (quote.decimals - base.decimals) * (1 + random.uniform(-8e-4, 8e-4))
    )
    depth = 10 ** random.uniform(5, 7) / USD[quote] * 10**quote.decimals
    state = make(random, price, depth)
    return RoutedPool(f"{kind}-{random.getrandbits(64):x}", venue, kind, base, quote, state, NOW)


def six_pools(random: Random, pair: tuple[Token, Token] = (SOL, USDC)) -> list[RoutedPool]:
    """One of every kind, and of two kinds of CLMM."""
    return [a_pool(random, pair, maker) for maker in MAKERS]


def a_market(random: Random) -> list[RoutedPool]:
    """Six pools between SOL and USDC, four more on the way over USDT, and some that lead nowhere."""
    others = ((SOL, USDT), (SOL, USDT), (USDT, USDC), (USDT, USDC), (JUP, USDC), (BONK, SOL))
    return six_pools(random) + [a_pool(random, pair, random.choice(MAKERS)) for pair in others]


def worth(token: Token, usd: float) -> int:
    return max(1, int(usd / USD[token] * 10**token.decimals))


def a_sale(random: Random, usd_from: float = 0, usd_to: float = 6) -> tuple[Token, Token, int]:
    """SOL for USDC or back, between powers of ten of USD."""
    token_in, token_out = random.choice([(SOL, USDC), (USDC, SOL)])
    return token_in, token_out, worth(token_in, 10 ** random.uniform(usd_from, usd_to))


def pools_of(pools: Iterable[RoutedPool], token_in: Token, token_out: Token) -> list[RoutedPool]:
    return [pool for pool in pools if pool.leads(token_in, token_out)]

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal
from itertools import pairwise
from typing import Any, Final

import pytest

from app.venues.pools.dlmm import DlmmPool
from app.venues.pools.dlmm_bins import BASIS_POINTS, Bin, amount_out_for, bin_price
from app.venues.pools.dlmm_swap import FEE_SCALE
from app.venues.pools.integers import Q64, U128_MAX, ceil_div
from app.venues.pools.quote import AmountTooSmall, InsufficientLiquidity, PoolQuote
from tests.venues.pools.vectors import differences

VECTORS: Final = "meteora_dlmm"
SDK_DIGITS: Final = Context(
    prec=20, rounding=ROUND_HALF_UP
)  # what decimal.js keeps unless it is told otherwise
EXACT: Final = Context(prec=80, rounding=ROUND_HALF_UP)


def pool_of(state: dict[str, Any]) -> DlmmPool:
    return DlmmPool(
        active_id=state["activeId"],
        bin_step=state["binStep"],
        base_factor=state["baseFactor"],
        base_fee_power_factor=state["baseFeePowerFactor"],
        filter_period=state["filterPeriod"],
        decay_period=state["decayPeriod"],
        reduction_factor=state["reductionFactor"],
        variable_fee_control=state["variableFeeControl"],
        max_volatility=state["maxVolatilityAccumulator"],
        protocol_share=state["protocolShareBps"],
        collect_fee_mode=state["collectFeeMode"],
        limit_orders=state["limitOrders"],
        volatility=state["volatilityAccumulator"],
        volatility_reference=state["volatilityReference"],
        index_reference=state["indexReference"],
        updated_at=state["lastUpdateTimestamp"],
        bin_ids=tuple(held[0] for held in state["bins"]),
        bins=tuple(bin_of(held, state["binStep"]) for held in state["bins"]),
    )


def bin_of(held: list[Any], bin_step: int) -> Bin:
    bin_id, x, y, opened, processed, is_ask = (*held, 0, 0, 0)[:6]
    return Bin(int(x), int(y), bin_price(bin_id, bin_step), int(opened), int(processed), bool(is_ask))


def price_of(bin_id: int, bin_step: int) -> Decimal:
    return SDK_DIGITS.plus(EXACT.power(1 + EXACT.divide(Decimal(bin_step), Decimal(BASIS_POINTS)), bin_id))


def fixed(number: Decimal, places: int) -> str:
    return f"{number.quantize(Decimal(1).scaleb(-places), context=EXACT):f}"


def percent(part: Decimal, whole: Decimal) -> str:
    if not whole:
        return "Infinity" if part else "NaN"
    return fixed(SDK_DIGITS.multiply(SDK_DIGITS.divide(abs(part), whole), Decimal(100)), 12)


def impact_of_input(pool: DlmmPool, quote: PoolQuote[DlmmPool], line: dict[str, Any]) -> str:
    """The output against that of the first bin used, if it were endless, at the fee of the last."""
    swap = pool.swap(quote.amount_in, line["swapForY"], line["timestamp"], exact_in=True)
    fee = ceil_div(quote.amount_in * swap.rate_at(quote.after.active_id), FEE_SCALE)
    flat = amount_out_for(quote.amount_in - fee, pool.bins[swap.fills[0].at].price, line["swapForY"])
    return percent(Decimal(quote.amount_out - flat), Decimal(flat))


def result(pool: DlmmPool, quote: PoolQuote[DlmmPool], line: dict[str, Any]) -> dict[str, str]:
    slippage, end = line["slippageBps"], price_of(quote.after.active_id, pool.bin_step)
    numbers: dict[str, Any] = {
        "amountIn": quote.amount_in,
        "amountOut": quote.amount_out,
        "lpFee": quote.fees_in.lp + quote.fees_out.lp,
        "protocolFee": quote.fees_in.protocol + quote.fees_out.protocol,
    }
    if line["mode"] == "exactIn":
        numbers["minOutAmount"] = quote.amount_out * (BASIS_POINTS - slippage) // BASIS_POINTS
        numbers["priceImpactPct"] = impact_of_input(pool, quote, line)
        numbers["endPrice"] = fixed(end, 18)
    else:
        start = price_of(pool.active_id, pool.bin_step)
        numbers["maxInAmount"] = quote.amount_in * (BASIS_POINTS + slippage) // BASIS_POINTS
        numbers["priceImpactPct"] = percent(SDK_DIGITS.subtract(start, end), start)
    return {key: str(number) for key, number in numbers.items()}


def ours(line: dict[str, Any]) -> dict[str, str]:
    pool, asked = pool_of(line["state"]), (int(line["amount"]), line["swapForY"], line["timestamp"])
    if line["mode"] == "exactOut":
        return result(pool, pool.quote_exact_out(*asked), line)
    quote = pool.quote_exact_in(*asked)
    assert pool.amount_out(*asked) == quote.amount_out
    return result(pool, quote, line)


def test_every_line_equals_the_sdk() -> None:
    assert differences(VECTORS, ours) == {}


def test_the_prices_of_bins() -> None:
    assert [bin_price(bin_id, 100) for bin_id in (-1, 0)] == [U128_MAX // (Q64 + Q64 // 100), Q64]
    for bin_step in (1, 25, 400):
        prices = [bin_price(bin_id, bin_step) for bin_id in range(-200, 200)]
        for price, following in pairwise(prices):
            assert (
                abs(following * BASIS_POINTS - price * (BASIS_POINTS + bin_step))
                <= BASIS_POINTS * price >> 50
            )


def a_pool(*bins: tuple[int, ...], **changes: Any) -> DlmmPool:
    """Bins of 1 %, the active one the one with id 0: `(id, x, y, open order, processed order, is_ask)`."""
    fields: dict[str, Any] = {
        "active_id": 0,
        "bin_step": 100,
        "base_factor": 10_000,
        "base_fee_power_factor": 0,
        "filter_period": 30,
        "decay_period": 600,
        "reduction_factor": 5_000,
        "variable_fee_control": 0,
        "max_volatility": 300_000,
        "protocol_share": 2_000,
        "collect_fee_mode": 0,
        "limit_orders": False,
        "volatility": 80_000,
        "volatility_reference": 10_000,
        "index_reference": 3,
        "updated_at": 1_000,
        "bin_ids": tuple(held[0] for held in bins),
        "bins": tuple(bin_of(list(held), 100) for held in bins),
    }
    return DlmmPool(**(fields | changes))


BOOK: Final = ((-2, 0, 5_000), (-1, 0, 5_000), (0, 4_000, 5_000), (1, 5_000, 0), (3, 5_000, 0))


@pytest.mark.parametrize(
    ("mode", "swap_for_y", "on_input"),
    [(0, True, True), (0, False, True), (1, True, False), (1, False, True)],
)
def test_the_fee_is_of_the_token_that_the_pool_names(mode: int, swap_for_y: bool, on_input: bool) -> None:
    quote = a_pool(*BOOK, collect_fee_mode=mode).quote_exact_in(6_000, swap_for_y)
    assert (quote.fees_in.total > 0, quote.fees_out.total > 0) == (on_input, not on_input)


@pytest.mark.parametrize(
    ("elapsed", "references"), [(29, (3, 10_000)), (30, (0, 40_000)), (599, (0, 40_000)), (600, (0, 0))]
)
def test_volatility_decays_with_time(elapsed: int, references: tuple[int, int]) -> None:
    after = a_pool(*BOOK).quote_exact_in(100, a_to_b=True, at=1_000 + elapsed).after
    assert (after.index_reference, after.volatility_reference) == references
    assert after.updated_at == 1_000  # no bin was crossed


def test_a_swap_ends_in_the_last_bin_that_it_used() -> None:
    pool = a_pool(*BOOK, variable_fee_control=50_000)
    after = pool.quote_exact_in(9_500, a_to_b=False, at=5_000).after
    assert (after.active_id, after.volatility, after.updated_at) == (3, 30_000, 5_000)
    assert [held.amount_x for held in after.bins[2:4]] == [0, 0]
    assert pool.quote_exact_out(9_100, a_to_b=False, at=5_000).after.active_id == 3


def test_more_than_the_bins_hold_is_insufficient_liquidity() -> None:
    pool = a_pool(*BOOK)
    for ask, amount in (
        (pool.amount_out, 20_000),
        (pool.quote_exact_in, 20_000),
        (pool.quote_exact_out, 15_001),
    ):
        with pytest.raises(InsufficientLiquidity):
            ask(amount, a_to_b=True)
    assert pool.quote_exact_out(15_000, a_to_b=True).after.active_id == -2


def test_limit_orders_sell_after_the_providers_and_their_owners_get_half_of_the_fee() -> None:
    pool = a_pool((0, 1_000, 0, 5_000, 2_000, 1), limit_orders=True)
    quote = pool.quote_exact_in(6_060, a_to_b=False)
    held = quote.after.bins[0]
    assert (quote.amount_out, quote.fees_in.total) == (5_999, 61)
    assert (held.amount_x, held.amount_y) == (0, 1_000)
    assert (held.processed_order, held.open_order) == (2_001, 0)
    assert quote.after.unclaimed_y == 4_999
    assert quote.fees_in.protocol == 11 * 2_000 // BASIS_POINTS + 25


@pytest.mark.parametrize(("swap_for_y", "is_ask", "sold"), [(True, 0, 500), (False, 1, 500)])
def test_limit_orders_are_met_from_the_other_side_only(swap_for_y: bool, is_ask: int, sold: int) -> None:
    asked = 500 * 101 // 99
    book = ((0, 0, 0, 1_000, 0, is_ask),)
    assert a_pool(*book, limit_orders=True).quote_exact_in(asked, swap_for_y).amount_out >= sold
    for pool, way in ((a_pool(*book), swap_for_y), (a_pool(*book, limit_orders=True), not swap_for_y)):
        with pytest.raises(InsufficientLiquidity):
            pool.quote_exact_in(asked, way)


def test_what_an_exact_output_cannot_spend_goes_to_the_protocol() -> None:
    pool = a_pool((460, 0, 10**6), active_id=460, base_factor=0)  # one X buys 97 Y
    quote = pool.quote_exact_out(100, a_to_b=True)
    assert (quote.amount_in, quote.amount_out, quote.fees_in.total, quote.fees_out.protocol) == (
        2,
        100,
        0,
        94,
    )
    assert quote.after.bins[0].amount_y == 10**6 - 194


def test_a_bin_whose_output_the_fee_eats_up_is_left_alone() -> None:
    pool = a_pool((-1, 0, 5_000), (0, 0, 1), collect_fee_mode=1)
    quote = pool.quote_exact_out(100, a_to_b=True)
    assert quote.after.active_id == -1
    assert quote.after.bins[1] == pool.bins[1]


@pytest.mark.parametrize("amount", [0, -1])
def test_nothing_is_too_small(amount: int) -> None:
    pool = a_pool(*BOOK)
    for ask in (pool.amount_out, pool.quote_exact_in, pool.quote_exact_out):
        with pytest.raises(AmountTooSmall):
            ask(amount, a_to_b=True)

"""One step of a swap at constant liquidity: from a price towards a target, as far as the amount goes.

Each takes `(price, target, liquidity, remaining, rate, fee_on_input)`, the prices being square roots in Q64.64, the
rate in 1e-6, `remaining` the amount that is still to be swapped, and answers `(price, used, other, fee)`: the price
reached, what that took of `remaining`, what it moved on the other side, and the fee, part of the input or taken off
the output. Formulas: `compute_swap` in `swap_math`, `get_delta_amount_0_unsigned`, `get_delta_amount_1_unsigned` in
`liquidity_math` and `get_next_sqrt_price_from_input`, `…_from_output` in `sqrt_price_math` of raydium-clmm
(Apache-2.0): Δ1 = L·Δ√P and Δ0 = L·Δ√P / (√P·√P'), what goes in rounded up and what comes out rounded down.
"""

# ruff: noqa: PLR0917  # named arguments would cost as much time as a step itself

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from app.venues.pools.integers import Q64

RATE_SCALE: Final = 1_000_000

Step: TypeAlias = tuple[int, int, int, int]
Stepper: TypeAlias = Callable[[int, int, int, int, int, bool], Step]


def sell_0(price: int, target: int, liquidity: int, remaining: int, rate: int, fee_on_input: bool) -> Step:
    """Token 0 goes in, exactly; the price falls."""
    net = remaining * (RATE_SCALE - rate) // RATE_SCALE if fee_on_input else remaining
    moved = liquidity * (price - target)
    paid = -(-(moved << 64) // (price * target))
    if net < paid:
        scaled = liquidity << 64
        reached = -(-scaled * price // (scaled + net * price))
        moved = liquidity * (price - reached)
        paid = -(-(moved << 64) // (price * reached))
        return _settle_input(reached, paid, moved >> 64, rate, fee_on_input, remaining)
    return _settle_input(target, paid, moved >> 64, rate, fee_on_input, None)


def sell_1(price: int, target: int, liquidity: int, remaining: int, rate: int, fee_on_input: bool) -> Step:
    """Token 1 goes in, exactly; the price rises."""
    net = remaining * (RATE_SCALE - rate) // RATE_SCALE if fee_on_input else remaining
    moved = liquidity * (target - price)
    paid = (moved + Q64 - 1) >> 64
    if net < paid:
        reached = price + (net << 64) // liquidity
        moved = liquidity * (reached - price)
        paid = (moved + Q64 - 1) >> 64
        return _settle_input(reached, paid, (moved << 64) // (price * reached), rate, fee_on_input, remaining)
    return _settle_input(target, paid, (moved << 64) // (price * target), rate, fee_on_input, None)


def buy_1(price: int, target: int, liquidity: int, remaining: int, rate: int, fee_on_input: bool) -> Step:
    """Token 1 comes out, exactly; the price falls."""
    gross = remaining if fee_on_input else -(-remaining * RATE_SCALE // (RATE_SCALE - rate))
    moved = liquidity * (price - target)
    reached = target
    if gross < moved >> 64:
        reached = price + (-gross << 64) // liquidity
        moved = liquidity * (price - reached)
    paid = -(-(moved << 64) // (price * reached))
    return _settle_output(reached, paid, moved >> 64, rate, fee_on_input, remaining)


def buy_0(price: int, target: int, liquidity: int, remaining: int, rate: int, fee_on_input: bool) -> Step:
    """Token 0 comes out, exactly; the price rises."""
    gross = remaining if fee_on_input else -(-remaining * RATE_SCALE // (RATE_SCALE - rate))
    moved = liquidity * (target - price)
    received = (moved << 64) // (price * target)
    reached = target
    if gross < received:
        scaled = liquidity << 64
        reached = -(-scaled * price // (scaled - gross * price))
        moved = liquidity * (reached - price)
        received = (moved << 64) // (price * reached)
    return _settle_output(reached, (moved + Q64 - 1) >> 64, received, rate, fee_on_input, remaining)


def _settle_input(
    reached: int, paid: int, received: int, rate: int, fee_on_input: bool, remaining: int | None
) -> Step:
    if not fee_on_input:
        fee = -(-received * rate // RATE_SCALE)
        return reached, paid, received - fee, fee
    if remaining is None:
        fee = -(-paid * rate // (RATE_SCALE - rate))
        return reached, paid + fee, received, fee
    # Short of the target all of the input is used: what is too little to move the price is fee too.
    return reached, remaining, received, remaining - paid


def _settle_output(
    reached: int, paid: int, received: int, rate: int, fee_on_input: bool, remaining: int
) -> Step:
    if fee_on_input:
        fee = -(-paid * rate // (RATE_SCALE - rate))
        return reached, min(received, remaining), paid + fee, fee
    net = min(received - -(-received * rate // RATE_SCALE), remaining)
    return reached, net, paid, received - net

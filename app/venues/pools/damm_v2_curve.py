"""The curve of a Meteora DAMM v2 pool with a price range: one liquidity between two square roots of a price.

Square roots of prices (units of B per unit of A) are Q64, liquidity is Q128. Price and amounts are rounded against the
swap. Here −(−x // y), which is x / y rounded up, stands where it does for its speed.
Source of the formulas: @meteora-ag/cp-amm-sdk (MIT), math/liquidity/concentratedLiquidity.ts.
"""

from __future__ import annotations

from app.venues.pools.quote import InsufficientLiquidity


def exchange_input(sqrt_price: int, liquidity: int, amount_in: int, a_to_b: bool) -> tuple[int, int]:
    """The output, and √price after it.

    A goes in: √P' = ceil(L · √P / (L + Δa · √P)), Δb = floor(L · (√P − √P')).
    B goes in: √P' = √P + floor(Δb / L), Δa = floor(L · (√P' − √P) / (√P · √P')).
    Source: calculateAtoBFromAmountInForConcentratedLiquidity, calculateBtoAFromAmountInForConcentratedLiquidity.
    """
    if a_to_b:
        after = -(-liquidity * sqrt_price // (liquidity + amount_in * sqrt_price))
        return liquidity * (sqrt_price - after) >> 128, after
    after = sqrt_price + (amount_in << 128) // liquidity
    return liquidity * (after - sqrt_price) // (sqrt_price * after), after


def exchange_output(sqrt_price: int, liquidity: int, amount_out: int, a_to_b: bool) -> tuple[int, int]:
    """The input, and √price after it. Raises InsufficientLiquidity.

    B comes out: √P' = √P − ceil(Δb / L), Δa = ceil(L · (√P − √P') / (√P · √P')).
    A comes out: √P' = ceil(L · √P / (L − Δa · √P)), Δb = ceil(L · (√P' − √P)).
    Source: calculateAtoBFromAmountOutForConcentratedLiquidity, calculateBtoAFromAmountOutForConcentratedLiquidity.
    """
    if a_to_b:
        after = sqrt_price + (-amount_out << 128) // liquidity
        if after <= 0:
            raise InsufficientLiquidity("The pool holds less than the amount.")
        return -(liquidity * (after - sqrt_price) // (sqrt_price * after)), after
    left = liquidity - amount_out * sqrt_price
    if left <= 0:
        raise InsufficientLiquidity("The pool holds less than the amount.")
    after = -(-liquidity * sqrt_price // left)
    return -(liquidity * (sqrt_price - after) >> 128), after


def reserves(sqrt_price: int, sqrt_min_price: int, sqrt_max_price: int, liquidity: int) -> tuple[int, int]:
    """The units of A and of B that the liquidity needs at this price, rounded up.

    A: ceil(L · (√max − √P) / (√max · √P)); B: ceil(L · (√P − √min)). Source: getReservesAmountForConcentratedLiquidity.
    """
    token_a = -(liquidity * (sqrt_price - sqrt_max_price) // (sqrt_price * sqrt_max_price))
    return token_a, -(liquidity * (sqrt_min_price - sqrt_price) >> 128)

"""The constant product x · y = k between what is in the pool and what a swap exchanges, fees aside."""

from __future__ import annotations

from app.venues.pools.integers import ceil_div
from app.venues.pools.quote import InsufficientLiquidity


def output_for(amount_in: int, reserve_in: int, reserve_out: int) -> int:
    """What the curve gives: floor(reserve_out · amount_in / (reserve_in + amount_in)).

    Source: raydium-cp-swap (Apache-2.0), curve/constant_product.rs, swap_base_input_without_fees.
    """
    return reserve_out * amount_in // (reserve_in + amount_in)


def input_for(amount_out: int, reserve_in: int, reserve_out: int) -> int:
    """The least input that gives it: ceil(reserve_in · amount_out / (reserve_out − amount_out)).

    Source: raydium-cp-swap (Apache-2.0), curve/constant_product.rs, swap_base_output_without_fees.
    Raises InsufficientLiquidity.
    """
    if amount_out >= reserve_out:
        raise InsufficientLiquidity("The pool holds less than the amount.")
    return ceil_div(reserve_in * amount_out, reserve_out - amount_out)

"""What a `building` step says of its choice, and what holds of it in every market."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from app.venues.simulated.board import LEG_COST


def promised(building: dict[str, Any], token_out: str = "USDC") -> float:
    """What the legs of its route pay together."""
    legs = building["route"]["legs"]
    return float(sum(Decimal(str(leg["amountOut"])) for leg in legs if leg["tokenOut"] == token_out))


def assert_the_better_is_chosen(building: dict[str, Any]) -> None:
    """Of an order that sells SOL: the route pays no less than either venue, `dex` has the most of it.

    A route may be split over pools of both venues, so `dex` need not be the venue that alone would pay more. A quote
    over two pools may pay more than a route through one, but only by less than its second leg costs.
    """
    best = max(building["quotes"], key=lambda quote: quote["amountOut"])
    assert promised(building) >= best["amountOut"] - LEG_COST / 10**9 * best["price"]
    firsts = [leg for leg in building["route"]["legs"] if leg["tokenIn"] == "SOL"]
    assert building["dex"] == max(firsts, key=lambda leg: leg["amountIn"])["dex"]

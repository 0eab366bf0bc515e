"""Choosing a route: the venue whose quote leaves the most in the client's hands."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Context, Decimal
from typing import Any, Final

from app.orders.amounts import BPS, json_number, price, whole_tokens
from app.orders.model import Quote, Route, Swap
from app.orders.tokens import Token

LEAST_REFERENCE: Final = 10_000  # base units; one of them is then less than 0.01 %
IMPACT_STEP: Final = Decimal("0.000001")
_IMPACT: Final = Context(prec=12)


def ranked(quotes: Iterable[Quote]) -> list[Quote]:
    """The quotes by net output, best first; equal ones are decided by the venue's name, so that all agree."""
    return sorted(quotes, key=lambda quote: (-quote.amount_out, quote.venue))


def best_quote(quotes: Iterable[Quote]) -> Quote:
    """The quote with the highest net output."""
    return ranked(quotes)[0]


def price_impact(amount_in: int, amount_out: int, reference_in: int, reference_out: int) -> Decimal | None:
    """The share of the price that the size of a trade costs: 1 − (out / in) / (out₀ / in₀), at least 0.

    in₀ and out₀ are a quote for so little that it hardly moves the price, from the same venue at the same moment;
    the fee is the same share of both, and cancels out. All in base units. None when out₀ is so small that its
    rounding would show. Source: the loss against the marginal price; Angeris, Kao, Chiang, Noyes & Chitra, An Analysis
    of Uniswap Markets (2019), section 2.
    """
    if reference_out < LEAST_REFERENCE:
        return None
    kept = _IMPACT.divide(Decimal(amount_out * reference_in), Decimal(amount_in * reference_out))
    return max(Decimal(0), (1 - kept).quantize(IMPACT_STEP))


def quote_view(quote: Quote, swap: Swap) -> dict[str, Any]:
    """A quote as clients see it: net output = amount in · price · (1 − fee)."""
    gross = price(
        quote.amount_out * BPS, swap.token_out, swap.amount_in * (BPS - quote.fee_bps), swap.token_in
    )
    return {
        "dex": quote.venue,
        "price": json_number(gross),
        "fee": quote.fee_bps / BPS,
        "amountOut": json_number(whole_tokens(quote.amount_out, swap.token_out)),
    }


def route_view(route: Route, swap: Swap) -> dict[str, Any]:
    """A route as clients see it: every leg, what the best single pool would have paid, and what the route saves."""
    best = route.best_single
    return {
        "legs": [
            {
                "dex": leg.venue,
                "pool": leg.pool,
                "kind": leg.kind,
                "tokenIn": leg.token_in.symbol,
                "tokenOut": leg.token_out.symbol,
                "amountIn": _shown(leg.amount_in, leg.token_in),
                "amountOut": _shown(leg.amount_out, leg.token_out),
                "fee": leg.fee,
            }
            for leg in route.legs
        ],
        "bestSinglePool": best
        and {"dex": best.venue, "pool": best.pool, "amountOut": _shown(best.amount_out, swap.token_out)},
        "saving": _shown(route.saving, swap.token_out),
    }


def _shown(units: int, token: Token) -> Any:
    return json_number(whole_tokens(units, token))

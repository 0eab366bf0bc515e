"""Small builders: what a test does not care about has a default."""

from __future__ import annotations

from typing import Any

from app.orders.amounts import parse_amount
from app.orders.model import OrderRequest, Swap
from app.orders.tokens import SOL, USDC, Token


def a_swap(amount: str = "1.25", token_in: Token = SOL, token_out: Token = USDC) -> Swap:
    """Sell that many whole tokens."""
    return Swap(token_in, token_out, parse_amount(amount, token_in))


def a_request(
    amount: str = "1.25",
    token_in: Token = SOL,
    token_out: Token = USDC,
    *,
    slippage_bps: int = 50,
    wallet: str | None = None,
) -> OrderRequest:
    return OrderRequest(a_swap(amount, token_in, token_out), slippage_bps, wallet)


def a_body(**changes: Any) -> dict[str, Any]:
    """The JSON body of an order, before it is encoded; a field that is changed to None is left out."""
    body = {"tokenIn": "SOL", "tokenOut": "USDC", "amount": 1.25} | changes
    return {field: value for field, value in body.items() if value is not None}

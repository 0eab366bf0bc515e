"""The plan of a swap as clients see it, and that what is signed is what was shown."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from app.orders.tokens import BONK, JUP, SOL, TOKENS, USDC, Token
from app.venues.simulated.transaction import SwapMessage
from tests.builders import a_request
from tests.jobs.workers import serving, settings
from tests.support.books import Books

from .builders import rows, until


async def told(
    books: Books, amount: str, token_in: Token, token_out: Token
) -> tuple[dict[str, Any], SwapMessage]:
    """The data of the order's `building`, and its transaction."""
    async with serving(settings(books)):
        order_id = await books.accept(a_request(amount, token_in, token_out, slippage_bps=500))

        async def has_ended() -> bool:
            return await books.status(order_id) == "confirmed"

        await until(has_ended, 30)
    query = "SELECT data FROM order_events WHERE order_id = %s AND status = 'building'"
    [(data,)] = await rows(books.url, query, order_id)
    [(raw,)] = await rows(books.url, "SELECT raw FROM order_attempts WHERE order_id = %s", order_id)
    return data, msgspec.json.decode(bytes(raw), type=SwapMessage)


@pytest.mark.parametrize(
    ("amount", "token_in", "token_out"), [("1.25", SOL, USDC), ("20000", SOL, USDC), ("1000", JUP, BONK)]
)
async def test_the_building_step_shows_the_route_that_is_signed(
    database_url: str, amount: str, token_in: Token, token_out: Token
) -> None:
    async with Books(database_url) as books:
        data, message = await told(books, amount, token_in, token_out)
    route = data["route"]
    shown = [(leg["pool"], leg["tokenIn"], leg["amountIn"]) for leg in route["legs"]]
    tokens = {token.mint: token for token in TOKENS}
    for (pool, symbol, units), leg in zip(shown, message.route, strict=True):
        token = tokens[leg.mint_in]
        assert (pool, symbol) == (leg.pool, token.symbol)
        assert round(Decimal(str(units)) * 10**token.decimals) == leg.amount_in
    firsts = [leg for leg in route["legs"] if leg["tokenIn"] == token_in.symbol]
    assert sum(Decimal(str(leg["amountIn"])) for leg in firsts) == Decimal(amount)
    assert data["dex"] == max(firsts, key=lambda leg: leg["amountIn"])["dex"] == message.venue
    paid = sum(leg["amountOut"] for leg in route["legs"] if leg["tokenOut"] == token_out.symbol)
    single = route["bestSinglePool"]
    if single is None:
        assert route["saving"] == 0
    else:
        assert paid >= single["amountOut"] + route["saving"] - 1e-6
    assert message.min_out == pytest.approx(paid * 0.95 * 10**token_out.decimals, rel=1e-6)

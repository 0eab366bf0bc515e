"""Tokens, quotes and prices, as the console asks for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from app.api.parts import ApiParts
from app.errors import QuoteUnavailable, Unfillable
from app.orders.model import Quote, Swap
from app.orders.tokens import TOKENS
from app.runtime import open_api
from app.settings import Settings
from tests.stream.support import Orders

from .support import Api, check_problem, eventually, running_api, working

QUOTES = "/api/quotes?tokenIn=SOL&tokenOut=USDC&amount=1.25"
PRICES = "/api/pairs/SOL/USDC/prices"


class Pool:
    """A venue with a constant-product pool of 1,000 SOL and 150,000 USDC, or one that raises."""

    def __init__(self, name: str, fee_bps: int, error: Exception | None = None) -> None:
        self.name = name
        self._fee_bps = fee_bps
        self._error = error

    async def quote(self, swap: Swap) -> Quote:
        if self._error is not None:
            raise self._error
        after_fee = swap.amount_in * (10_000 - self._fee_bps) // 10_000
        return Quote(self.name, 150_000 * 10**6 * after_fee // (1000 * 10**9 + after_fee), self._fee_bps)


@asynccontextmanager
async def trading_with(settings: Settings, *venues: Any) -> AsyncIterator[Api]:
    @asynccontextmanager
    async def open_parts(settings: Settings) -> AsyncIterator[ApiParts]:
        async with open_api(settings) as parts:
            yield replace(parts, venues=venues)

    async with running_api(settings, open_parts) as api:
        yield api


async def test_every_token_is_listed(api: Api) -> None:
    listed = (await api.http.get("/api/tokens")).json()["tokens"]
    assert [token["symbol"] for token in listed] == [token.symbol for token in TOKENS]
    assert listed[0] == {
        "symbol": "SOL", "name": "Solana", "mint": "So11111111111111111111111111111111111111112", "decimals": 9,
    }  # fmt: skip
    assert all(token["name"] for token in listed)


async def test_quotes_come_best_first_with_what_they_cost(settings: Settings) -> None:
    async with trading_with(settings, Pool("dear", 100), Pool("cheap", 10)) as api:
        answer = await api.http.get("/api/quotes?tokenIn=SOL&tokenOut=USDC&amount=10&slippageBps=100")
    quotes = answer.json(parse_float=Decimal)
    assert quotes.pop("ts")
    # 10 SOL less 0.1 % are 9.99: 150,000 · 9.99 / 1,009.99 USDC, floored.
    assert quotes.pop("quotes") == [
        {
            "dex": "cheap", "amountOut": Decimal("1483.678056"), "minAmountOut": Decimal("1468.841275"),
            "price": Decimal("148.3678056"), "fee": Decimal("0.001"), "priceImpact": Decimal("0.009881"),
        },
        {
            "dex": "dear", "amountOut": Decimal("1470.442618"), "minAmountOut": Decimal("1455.738191"),
            "price": Decimal("147.0442618"), "fee": Decimal("0.01"), "priceImpact": Decimal("0.009793"),
        },
    ]  # fmt: skip
    assert quotes == {
        "tokenIn": "SOL", "tokenOut": "USDC", "amount": 10, "slippageBps": 100, "best": "cheap", "unavailable": [],
    }  # fmt: skip
    assert answer.headers["cache-control"] == "no-store"


async def test_a_venue_that_gives_no_quote_is_named_with_the_reason(settings: Settings) -> None:
    broken = Pool("broken", 1, QuoteUnavailable("It is closed."))
    async with trading_with(settings, broken, Pool("open", 10)) as api:
        quotes = (await api.http.get(QUOTES)).json()
    assert (quotes["best"], [quote["dex"] for quote in quotes["quotes"]]) == ("open", ["open"])
    assert quotes["unavailable"] == [
        {"dex": "broken", "code": "venue_unavailable", "message": "It is closed."}
    ]


async def test_what_nobody_can_quote_is_an_answer_too(settings: Settings) -> None:
    async with trading_with(settings, Pool("small", 1, Unfillable("Too much."))) as api:
        answer = await api.http.get(QUOTES)
    assert answer.status_code == 200
    assert (answer.json()["best"], answer.json()["quotes"]) == (None, [])
    assert answer.json()["unavailable"][0]["code"] == "unfillable_amount"


async def test_the_impact_of_next_to_nothing_is_not_known(settings: Settings) -> None:
    async with trading_with(settings, Pool("open", 10)) as api:
        quotes = (await api.http.get("/api/quotes?tokenIn=SOL&tokenOut=USDC&amount=0.00001")).json()
    assert quotes["quotes"][0]["priceImpact"] is None


async def test_the_simulated_venues_quote(api: Api) -> None:
    quotes = (await api.http.get(QUOTES)).json()
    assert {quote["dex"] for quote in quotes["quotes"]} == {"raydium", "meteora"}
    assert quotes["slippageBps"] == 50
    first, second = quotes["quotes"]
    assert first["amountOut"] >= second["amountOut"] > second["minAmountOut"]
    assert all(0 <= quote["priceImpact"] < 0.01 for quote in quotes["quotes"])


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("tokenOut=USDC&amount=1", "tokenIn"),
        ("tokenIn=NOPE&tokenOut=USDC&amount=1", "tokenIn"),
        ("tokenIn=SOL&amount=1", "tokenOut"),
        ("tokenIn=SOL&tokenOut=SOL&amount=1", "tokenOut"),
        ("tokenIn=SOL&tokenOut=USDC", "amount"),
        ("tokenIn=SOL&tokenOut=USDC&amount=0", "amount"),
        ("tokenIn=SOL&tokenOut=USDC&amount=-1", "amount"),
        ("tokenIn=SOL&tokenOut=USDC&amount=NaN", "amount"),
        ("tokenIn=SOL&tokenOut=USDC&amount=1e999999999", "amount"),
        ("tokenIn=SOL&tokenOut=USDC&amount=0.0000000001", "amount"),
        ("tokenIn=SOL&tokenOut=USDC&amount=1&slippageBps=0", "slippageBps"),
        ("tokenIn=SOL&tokenOut=USDC&amount=1&slippageBps=5001", "slippageBps"),
    ],
)
async def test_a_malformed_question_is_a_problem(api: Api, query: str, parameter: str) -> None:
    problem = check_problem(await api.http.get(f"/api/quotes?{query}"), 400, "invalid_parameter")
    assert [error["parameter"] for error in problem["errors"]] == [parameter]


async def test_prices_end_now_and_are_the_same_the_next_time(api: Api) -> None:
    first, second = [(await api.http.get(f"{PRICES}?points=30&seconds=60")).json() for _ in range(2)]
    times = [price["ts"] for price in first["prices"]]
    assert len(times) == 30
    assert times == sorted(times)
    known = {price["ts"]: price["price"] for price in first["prices"]}
    again = [price for price in second["prices"] if price["ts"] in known]
    assert again
    assert all(known[price["ts"]] == price["price"] for price in again)


async def test_a_pair_and_its_inverse_agree(api: Api) -> None:
    there, back = [
        {price["ts"]: price["price"] for price in (await api.http.get(prices)).json()["prices"]}
        for prices in (f"/api/pairs/{pair}/prices?points=4&seconds=3600" for pair in ("SOL/BONK", "BONK/SOL"))
    ]
    both = there.keys() & back.keys()
    assert both
    assert all(there[ts] * back[ts] == pytest.approx(1) for ts in both)


async def test_fills_of_the_pair_are_among_the_prices(api: Api, settings: Settings, orders: Orders) -> None:
    async with working(settings):
        order_id = await api.placed(slippageBps=5000)
        await api.placed(tokenIn="SOL", tokenOut="BONK", slippageBps=5000)

        async def is_filled() -> bool:
            return bool((await api.http.get(PRICES)).json()["fills"])

        await eventually(is_filled, within=30)
    fills = (await api.http.get(PRICES)).json()["fills"]
    order = (await api.http.get(f"/api/orders/{order_id}")).json()
    assert fills == [
        {"ts": order["updatedAt"], "price": order["executedPrice"], "orderId": order_id, "dex": order["dex"]}
    ]


@pytest.mark.parametrize(
    "path",
    [
        "/api/pairs/SOL/SOL/prices", "/api/pairs/SOL/NOPE/prices", f"{PRICES}?points=1", f"{PRICES}?points=601",
        f"{PRICES}?seconds=9", f"{PRICES}?seconds=3601", f"{PRICES}?seconds=x",
    ],
)  # fmt: skip
async def test_a_malformed_pair_or_span_is_a_problem(api: Api, path: str) -> None:
    check_problem(await api.http.get(path), 400, "invalid_parameter")

"""The market as clients see it: the tokens, what the venues would pay now, and where prices have been."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from litestar import Request as LitestarRequest
from litestar import Router, get
from litestar.params import FromPath
from msgspec import Meta, Raw

from app.api.answers import JsonAnswer
from app.api.parameters import Query, malformed, token_of
from app.api.schemas import Number
from app.api.state import state_of
from app.api.times import iso
from app.execution.intake import DEFAULT_ACCOUNT
from app.orders.amounts import (
    BPS,
    InvalidAmount,
    json_number,
    min_amount_out,
    parse_amount,
    price,
    whole_tokens,
)
from app.orders.failures import FailureCode, legible
from app.orders.model import Quote, Swap
from app.orders.request import SLIPPAGE_BPS_RANGE
from app.orders.routing import price_impact, ranked
from app.orders.tokens import TOKENS, Token
from app.storage.activity import Fill
from app.venues.router import QuoteRound, gather_quotes

QUOTE_SECONDS: Final = 2.0
REFERENCE: Final = 1000  # the part of an amount whose price stands for the market's before the trade
POINTS_RANGE: Final = range(2, 601)
SECONDS_RANGE: Final = range(10, 3601)
MAX_FILLS: Final = 200

Request: TypeAlias = LitestarRequest[Any, Any, Any]


class TokenView(msgspec.Struct, frozen=True):
    """A token that the engine trades."""

    symbol: str
    name: str
    mint: str
    decimals: int


class TokenList(msgspec.Struct, frozen=True):
    """The tokens that the engine trades."""

    tokens: list[TokenView]


class VenueQuote(msgspec.Struct, frozen=True, rename="camel"):
    """What a venue would pay now, after its fee; amounts and prices in whole tokens."""

    dex: str
    amount_out: Number
    min_amount_out: Annotated[Number, Meta(description="The least that the slippage tolerance accepts.")]
    price: Annotated[Number, Meta(description="TokenOut for one tokenIn: amountOut / amount.")]
    fee: Annotated[float, Meta(description="As a fraction: 0.0025 is 0.25 %.")]
    price_impact: Annotated[
        Number | None,
        Meta(description="How much worse the price is than for a thousandth of the amount, as a fraction; "
             "null when the amount is too small to tell."),
    ]  # fmt: skip


class NoQuote(msgspec.Struct, frozen=True):
    """A venue that gave no quote, and why."""

    dex: str
    code: FailureCode
    message: str


class QuoteList(msgspec.Struct, frozen=True, rename="camel"):
    """What the venues would pay now for a swap."""

    token_in: str
    token_out: str
    amount: Number
    slippage_bps: int
    ts: str
    best: Annotated[str | None, Meta(description="The venue that pays the most; null when none can quote.")]
    quotes: Annotated[list[VenueQuote], Meta(description="Best first.")]
    unavailable: list[NoQuote]


class PricePoint(msgspec.Struct, frozen=True):
    ts: str
    price: Number


class FillPoint(msgspec.Struct, frozen=True, rename="camel"):
    ts: str
    price: Number
    order_id: str
    dex: str | None


class PriceSeries(msgspec.Struct, frozen=True, rename="camel"):
    """Where the market's mid price of a pair has been, and the orders that were filled meanwhile."""

    token_in: str
    token_out: str
    prices: Annotated[list[PricePoint], Meta(description="TokenOut for one tokenIn, oldest first.")]
    fills: Annotated[list[FillPoint], Meta(description=f"Oldest first; the newest {MAX_FILLS} of the span.")]


@get("/tokens", name="listTokens")
async def list_tokens() -> JsonAnswer:
    views = [TokenView(token.symbol, token.name, token.mint, token.decimals) for token in TOKENS]
    return JsonAnswer(TokenList(views))


@get("/quotes", name="getQuotes")
async def get_quotes(request: Request) -> JsonAnswer:
    parts = state_of(request).parts
    query = Query(request.scope["query_string"])
    token_in, token_out = query.token("tokenIn"), query.token("tokenOut")
    _check_pair(token_in, token_out)
    swap = Swap(token_in, token_out, _amount(query.text("amount"), token_in))
    bps = query.number("slippageBps", SLIPPAGE_BPS_RANGE, parts.settings.default_slippage_bps)
    reference = msgspec.structs.replace(swap, amount_in=max(1, swap.amount_in // REFERENCE))
    asked, small = await asyncio.gather(
        gather_quotes(parts.venues, swap, QUOTE_SECONDS),
        gather_quotes(parts.venues, reference, QUOTE_SECONDS),
    )
    return JsonAnswer(_quote_list(swap, bps, asked, reference, small), headers=_FRESH)


@get("/pairs/{token_in:str}/{token_out:str}/prices", name="getPrices")
async def get_prices(request: Request, token_in: FromPath[str], token_out: FromPath[str]) -> JsonAnswer:
    parts = state_of(request).parts
    sold, bought = token_of("tokenIn", token_in), token_of("tokenOut", token_out)
    _check_pair(sold, bought)
    query = Query(request.scope["query_string"])
    seconds = query.number("seconds", SECONDS_RANGE, 600)
    times = _grid(dt.datetime.now(dt.UTC), seconds, query.number("points", POINTS_RANGE, 120))
    prices = await parts.prices.mid_prices(sold, bought, times)
    fills = await parts.activity.fills(
        DEFAULT_ACCOUNT, sold, bought, dt.timedelta(seconds=seconds), MAX_FILLS
    )
    points = [PricePoint(iso(time), json_number(mid)) for time, mid in zip(times, prices, strict=True)]
    series = PriceSeries(sold.symbol, bought.symbol, points, [_fill(fill, sold, bought) for fill in fills])
    return JsonAnswer(series, headers=_FRESH)


_FRESH: Final = {"Cache-Control": "no-store"}


def _check_pair(token_in: Token, token_out: Token) -> None:
    if token_in == token_out:
        raise malformed("tokenOut", "must differ from the token sold")


def _amount(text: str | None, token: Token) -> int:
    try:
        return parse_amount(text or "", token)
    except InvalidAmount as error:
        raise malformed("amount", str(error)) from None


def _quote_list(
    swap: Swap, slippage_bps: int, asked: QuoteRound, reference: Swap, small: QuoteRound
) -> QuoteList:
    references = {quote.venue: quote.amount_out for quote in small.quotes}
    best_first = ranked(asked.quotes)
    return QuoteList(
        token_in=swap.token_in.symbol,
        token_out=swap.token_out.symbol,
        amount=json_number(whole_tokens(swap.amount_in, swap.token_in)),
        slippage_bps=slippage_bps,
        ts=iso(dt.datetime.now(dt.UTC)),
        best=best_first[0].venue if best_first else None,
        quotes=[
            _venue_quote(quote, swap, slippage_bps, reference.amount_in, references.get(quote.venue, 0))
            for quote in best_first
        ],
        unavailable=[NoQuote(r.venue, r.code, legible(r.message)) for r in asked.refusals],
    )


def _venue_quote(
    quote: Quote, swap: Swap, slippage_bps: int, reference_in: int, reference_out: int
) -> VenueQuote:
    impact = price_impact(swap.amount_in, quote.amount_out, reference_in, reference_out)
    return VenueQuote(
        dex=quote.venue,
        amount_out=_out(quote.amount_out, swap),
        min_amount_out=_out(min_amount_out(quote.amount_out, slippage_bps), swap),
        price=json_number(price(quote.amount_out, swap.token_out, swap.amount_in, swap.token_in)),
        fee=quote.fee_bps / BPS,
        price_impact=None if impact is None else json_number(impact),
    )


def _out(base_units: int, swap: Swap) -> Raw:
    return json_number(whole_tokens(base_units, swap.token_out))


def _grid(now: dt.datetime, seconds: int, points: int) -> list[dt.datetime]:
    """So many moments up to now, oldest first, that are the same in the next request where the two overlap."""
    step = seconds / points
    last = now.timestamp() // step
    return [dt.datetime.fromtimestamp((last - back) * step, dt.UTC) for back in reversed(range(points))]


def _fill(fill: Fill, token_in: Token, token_out: Token) -> FillPoint:
    paid = price(fill.amount_out, token_out, fill.amount_in, token_in)
    return FillPoint(iso(fill.at), json_number(paid), str(fill.order_id), fill.venue)


market_router: Final = Router("/api", route_handlers=[list_tokens, get_quotes, get_prices])

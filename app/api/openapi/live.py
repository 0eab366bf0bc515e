"""The calls of whoever shows what goes on: the market, the numbers, and the log of all orders as it grows."""

from __future__ import annotations

from typing import Final

from app.api.market import PriceSeries, QuoteList, TokenList
from app.api.openapi import examples, live_examples
from app.api.openapi.operation import Answer, Operation
from app.api.stats import Stats

_LOG: Final = (
    "Every event of all orders has a position in one log. Whoever follows it from a position gets each event after it "
    "once, in the order of commits; `asOf` of a list is the position of its snapshot."
)

LIVE: Final[dict[str, Operation]] = {
    "listTokens": Operation(
        "market",
        "List the tokens",
        "Those that can be sold and bought.",
        {200: Answer("The tokens.", TokenList, live_examples.TOKENS)},
    ),
    "getQuotes": Operation(
        "market",
        "Ask the venues for quotes",
        "What each venue would pay now, best first. Venues that do not answer within 2 s are `unavailable`, as are those "
        "that cannot fill the amount; nothing is reserved and nothing is stored.",
        {200: Answer("The quotes.", QuoteList, live_examples.QUOTES)},
        ("invalid_parameter",),
        ("tokenIn", "tokenOut", "amount", "slippageBps"),
    ),
    "getPrices": Operation(
        "market",
        "Read where prices have been",
        "The market's mid price of a pair at evenly spaced moments, and the account's fills meanwhile, as far as they "
        "are among its newest 50,000 orders.",
        {200: Answer("The prices.", PriceSeries, live_examples.PRICES)},
        ("invalid_parameter", "storage_unavailable"),
        ("tokenInPath", "tokenOutPath", "points", "seconds"),
    ),
    "getStats": Operation(
        "market",
        "Read what the engine does",
        "The account's orders in the last 60 seconds, in numbers, at most a second old.",
        {200: Answer("The numbers.", Stats, live_examples.STATS)},
        ("storage_unavailable",),
    ),
    "streamEvents": Operation(
        "stream",
        "Follow orders as Server-Sent Events",
        f"{_LOG} Of all orders of the account, of one wallet, or of one order. `event: status` carries a LoggedEvent, "
        "its `id` is the position; browsers come back with the last one by themselves. A comment is sent after each 5 s "
        "of silence. `event: gap` says that the position is too old, with `oldest`, the first one that can still be "
        "followed from; the stream ends then, and a list is the way back. For one order `event: end` follows its "
        "final event, and the stream ends.",
        {200: Answer("The stream.", str, live_examples.FRAMES, media_type="text/event-stream")},
        ("invalid_parameter", "unknown_order", "storage_unavailable"),
        ("ofOrder", "wallet", "afterPosition", "lastEventId"),
    ),
    "subscribe": Operation(
        "stream",
        "Follow orders over one WebSocket",
        f"{_LOG} Up to 64 subscriptions to single orders, to wallets, or to all orders of the account. What clients and "
        "server say: [AsyncAPI](/docs/asyncapi).",
        {101: Answer("The connection is a WebSocket now; `x-messages` says what an event carries.", None)},
        ("upgrade_required",),
        messages={
            "schema": {"$ref": "#/components/schemas/LoggedEvent"},
            "example": examples.LOGGED,
        },
    ),
}

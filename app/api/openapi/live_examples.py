"""The market and the engine at one moment: more examples of the OpenAPI document."""

from __future__ import annotations

import json
from typing import Any, Final

from app.api.openapi.examples import LOGGED, ORDER_ID, POSITION

_AT: Final = "2026-11-20T06:12:01.123Z"

TOKENS: Final[dict[str, Any]] = {
    "tokens": [
        {
            "symbol": "SOL",
            "name": "Solana",
            "mint": "So11111111111111111111111111111111111111112",
            "decimals": 9,
        },
        {
            "symbol": "USDC",
            "name": "USD Coin",
            "mint": "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v",
            "decimals": 6,
        },
    ]
}
QUOTES: Final[dict[str, Any]] = {
    "tokenIn": "SOL",
    "tokenOut": "USDC",
    "amount": 1.25,
    "slippageBps": 50,
    "ts": _AT,
    "best": "raydium",
    "quotes": [
        {
            "dex": "raydium",
            "amountOut": 197.246772,
            "minAmountOut": 196.260538,
            "price": 157.7974176,
            "fee": 0.0005,
            "priceImpact": 0.000023,
        }
    ],
    "unavailable": [{"dex": "meteora", "code": "quote_timeout", "message": "No quote within 2 s."}],
}
PRICES: Final[dict[str, Any]] = {
    "tokenIn": "SOL",
    "tokenOut": "USDC",
    "prices": [{"ts": _AT, "price": 157.9612}, {"ts": "2026-11-20T06:12:06.123Z", "price": 157.9688}],
    "fills": [
        {"ts": "2026-11-20T06:12:03.871Z", "price": 157.6430096, "orderId": ORDER_ID, "dex": "raydium"}
    ],
}
STATS: Final[dict[str, Any]] = {
    "asOf": POSITION,
    "ts": _AT,
    "windowSeconds": 60,
    "accepted": 120,
    "confirmed": 117,
    "failed": 2,
    "ordersPerSecond": 2.0,
    "successRate": 0.9832,
    "latency": {"p50Ms": 2760, "p99Ms": 2911},
    "queue": {"pending": 0, "oldestSeconds": None},
    "inFlight": 6,
    "perSecond": [{"ts": "2026-11-20T06:12:01.000Z", "accepted": 2, "confirmed": 2, "failed": 0}],
    "venues": [
        {"dex": "raydium", "status": "up", "quotes": 119, "unavailable": 0},
        {"dex": "meteora", "status": "down", "quotes": 96, "unavailable": 23},
    ],
}
FRAMES: Final = (
    f"retry: 1000\nid: {POSITION}\n\n"
    f"id: {LOGGED['position']}\nevent: status\ndata: {json.dumps(LOGGED)}\n\n"
    ": heartbeat\n\n"
)

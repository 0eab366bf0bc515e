"""One order, at several moments: the examples of the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

ORDER_ID: Final = "01997d4e-6c3a-7c43-9f0b-0c9d1a4a8f11"
WALLET: Final = "7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU"
CURSOR: Final = "AZl9Tmw6fEOfCwydGkqPEQ"
POSITION: Final = 4711
SIGNATURE: Final = "KdvRx4M1ebWA54othaqP3uYVPMVyhJ7ZrMggnpLoar7mvQtk82KD2Knk42Fcnb57ax4PTta4fLenHWVDtrENwhf"
WATCH_PATH: Final = f"/api/orders/execute?orderId={ORDER_ID}"

MARKET_ORDER: Final[dict[str, Any]] = {
    "type": "market",
    "tokenIn": "SOL",
    "tokenOut": "USDC",
    "amount": 1.25,
    "slippageBps": 50,
    "wallet": WALLET,
}
OTHER_SPELLINGS: Final[dict[str, Any]] = {
    "orderType": "market",
    "inputToken": "SOL",
    "outputToken": "USDC",
    "inputAmount": "1.25",
    "maxSlippageBps": 100,
    "userWallet": WALLET,
}

ACCEPTED: Final[dict[str, Any]] = {
    "orderId": ORDER_ID,
    "status": "pending",
    "idempotent": False,
    "ws": WATCH_PATH,
}
REPLAYED: Final[dict[str, Any]] = {**ACCEPTED, "idempotent": True}
QUEUED: Final[dict[str, Any]] = {"orderId": ORDER_ID, "status": "pending", "ws": WATCH_PATH}

ROUTE: Final[dict[str, Any]] = {
    "legs": [
        {
            "dex": "raydium",
            "pool": "GUudCbXgfKjGo959pRymyQUpUFfk16NKPHbiaavbZr4i",
            "kind": "clmm",
            "tokenIn": "SOL",
            "tokenOut": "USDT",
            "amountIn": 1.25,
            "amountOut": 197.596367,
            "fee": 0.0004,
        },
        {
            "dex": "raydium",
            "pool": "FGrFsiq6CQWbP39jdfR4i1cVdh9Rn4fjndxLf74UzFmt",
            "kind": "clmm",
            "tokenIn": "USDT",
            "tokenOut": "USDC",
            "amountIn": 197.596367,
            "amountOut": 197.246772,
            "fee": 0.0001,
        },
    ],
    "bestSinglePool": {
        "dex": "raydium",
        "pool": "4LpGBR8unV4Me7WVDBXQuQkDUVL4S3gE1LJPyde3uhBj",
        "amountOut": 197.200879,
    },
    "saving": 0.037997,
}
_DATA: Final[list[tuple[str, str, dict[str, Any]]]] = [
    ("pending", "01.123", {}),
    ("routing", "01.131", {"attempt": 1}),
    (
        "building",
        "01.338",
        {
            "dex": "raydium",
            "attempt": 1,
            "quotes": [
                {"dex": "raydium", "price": 157.876355778, "fee": 0.0005, "amountOut": 197.246772},
                {"dex": "meteora", "price": 157.799338135, "fee": 0.0004, "amountOut": 197.170273},
            ],
            "route": ROUTE,
        },
    ),
    (
        "submitted",
        "01.352",
        {"dex": "raydium", "txHash": SIGNATURE, "minAmountOut": 196.260538, "attempt": 1},
    ),
    (
        "confirmed",
        "03.871",
        {"dex": "raydium", "txHash": SIGNATURE, "executedPrice": 157.6430096, "amountOut": 197.053762},
    ),
]
EVENTS: Final[list[dict[str, Any]]] = [
    {
        "orderId": ORDER_ID,
        "sequence": sequence,
        "status": status,
        "ts": f"2026-11-20T06:12:{seconds}Z",
        **data,
    }
    for sequence, (status, seconds, data) in enumerate(_DATA, start=1)
]
ENVELOPED: Final[dict[str, Any]] = {
    "type": "status",
    "orderId": ORDER_ID,
    "sequence": 4,
    "status": "submitted",
    "timestamp": "2026-11-20T06:12:01.352Z",
    "data": _DATA[3][2],
}

LOGGED: Final[dict[str, Any]] = {
    "position": POSITION + 1,
    **{name: value for name, value in ENVELOPED.items() if name != "type"},
}

SUMMARY: Final[dict[str, Any]] = {
    "orderId": ORDER_ID,
    "type": "market",
    "tokenIn": "SOL",
    "tokenOut": "USDC",
    "amount": 1.25,
    "slippageBps": 50,
    "wallet": WALLET,
    "scenario": None,
    "status": "confirmed",
    "sequence": 5,
    "queued": True,
    "attempts": 1,
    "dex": "raydium",
    "quotedPrice": 157.7974176,
    "executedPrice": 157.6430096,
    "quotedAmountOut": 197.246772,
    "minAmountOut": 196.260538,
    "amountOut": 197.053762,
    "txHash": SIGNATURE,
    "failure": None,
    "createdAt": "2026-11-20T06:12:01.123Z",
    "updatedAt": "2026-11-20T06:12:03.871Z",
}
ORDER: Final[dict[str, Any]] = {**SUMMARY, "events": EVENTS}
ORDER_EVENTS: Final[dict[str, Any]] = {"orderId": ORDER_ID, "events": EVENTS[3:]}
ORDER_LIST: Final[dict[str, Any]] = {
    "orders": [SUMMARY],
    "hasMore": True,
    "nextCursor": CURSOR,
    "asOf": POSITION,
}
HEALTHY: Final[dict[str, Any]] = {"status": "ok", "ok": True, "database": "connected", "redis": "connected"}
UNHEALTHY: Final[dict[str, Any]] = {
    "status": "unavailable",
    "ok": False,
    "database": "disconnected",
    "redis": "connected",
}
NOT_READY: Final[dict[str, Any]] = {"ready": False, "reasons": ["the database cannot be reached"]}
PROBLEM_KIND: Final[dict[str, Any]] = {
    "code": "unknown_order",
    "status": 404,
    "title": "There is no such order",
    "description": "No order has this id.",
}
FIELD_PROBLEM: Final[dict[str, Any]] = {"detail": "must be greater than zero", "pointer": "#/amount"}
PARAMETER_PROBLEM: Final[dict[str, Any]] = {
    "detail": "must be a whole number from 1 to 100",
    "parameter": "limit",
}

"""The order as clients send it: each field under its own name, with the other spellings that are taken for it."""

from __future__ import annotations

from itertools import combinations
from typing import Any, Final

from app.api.sandbox import HEADER
from app.orders.request import ORDER_TYPES, REQUIRED, SLIPPAGE_BPS_RANGE, SPELLINGS, WALLET_LENGTH
from app.orders.scenarios import Scenario
from app.orders.tokens import TOKENS

Json = dict[str, Any]

WALLET: Final[Json] = {
    "type": "string",
    "minLength": WALLET_LENGTH[0],
    "maxLength": WALLET_LENGTH[-1],
    "pattern": r"^[^\x00-\x1F\x7F-\x9F]*$",
}

TOKEN: Final[Json] = {
    "type": "string",
    "enum": [*(token.symbol for token in TOKENS), *(token.mint for token in TOKENS)],
}
AMOUNT: Final[Json] = {"type": "string", "pattern": r"^(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$"}
_FIELDS: Final[dict[str, Json]] = {
    "type": {
        "type": "string",
        "enum": list(ORDER_TYPES),
        "default": "market",
        "description": "Only market orders so far.",
    },
    "tokenIn": {**TOKEN, "description": "What to sell: a symbol or a mint address.", "examples": ["SOL"]},
    "tokenOut": {**TOKEN, "description": "What to buy, likewise; another token.", "examples": ["USDC"]},
    "amount": {
        **AMOUNT,
        "type": ["number", "string"],
        "exclusiveMinimum": 0,
        "examples": [1.25, "1.25"],
        "description": "Of tokenIn, in whole tokens, above zero, with at most the token's decimals. "
        "A number is read from its digits, never through a float.",
    },
    "slippageBps": {
        "type": "integer",
        "minimum": SLIPPAGE_BPS_RANGE[0],
        "maximum": SLIPPAGE_BPS_RANGE[-1],
        "description": "How much worse than quoted the price may be, in 1/100 of a percent. "
        "Default: DEFAULT_SLIPPAGE_BPS of the server, which is 50 unless set.",
    },
    "wallet": {**WALLET, "type": ["string", "null"], "description": "Whose order it is."},
    "scenario": {
        "enum": [*Scenario, None],
        "description": "What the venues are to do with the order: for tests of clients, and refused in production. "
        f"The header `{HEADER}` says the same.",
    },
}


def order_request() -> Json:
    """The schema of the body of a POST that places an order."""
    spelled = dict(_FIELDS)
    for field, (_, *others) in SPELLINGS.items():
        spelled |= {
            other: {**_FIELDS[field], "description": f"Another spelling of `{field}`."} for other in others
        }
    return {
        "type": "object",
        "description": "A market order. Give one spelling of each field; unknown fields are refused.",
        "properties": spelled,
        "allOf": [_one_spelling(field) for field, names in SPELLINGS.items() if len(names) > 1],
        "additionalProperties": False,
    }


def _one_spelling(field: str) -> Json:
    if field in REQUIRED:
        return {"oneOf": [{"required": [name]} for name in SPELLINGS[field]]}
    return {"not": {"anyOf": [{"required": list(pair)} for pair in combinations(SPELLINGS[field], 2)]}}

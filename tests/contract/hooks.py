"""What schemathesis loads when it runs the document: false alarms aside, and orders that the engine can trade."""

from __future__ import annotations

import json
import re
from decimal import ROUND_UP, Decimal
from typing import Any, Final

import schemathesis

from app.api.idempotency import KEY_HEADERS
from app.orders.request import SPELLINGS
from app.orders.tokens import TOKENS
from tests.contract.false_alarms import false_alarm

COARSEST: Final = Decimal(1).scaleb(-min(token.decimals for token in TOKENS))
MOST: Final = Decimal(10**6)
LITERAL: Final = re.compile(r"(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,9})?", re.ASCII)
KEY: Final = re.compile(r"[!-~]([ -~]{0,253}[!-~])?")
OTHER_TOKEN: Final = {"USDC": "SOL"}


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """Amounts that fit the schema, fitted to the tokens; two tokens where one was drawn twice.

    Neither can be said in a schema, and left alone hardly any of the orders drawn would ever be stored and followed.
    """
    if isinstance(body, dict):
        for name in SPELLINGS["amount"]:
            if name in body:
                body[name] = _tradable(body[name])
        sold = next((body[name] for name in SPELLINGS["tokenIn"] if name in body), None)
        for name in SPELLINGS["tokenOut"]:
            if isinstance(sold, str) and body.get(name) == sold:
                body[name] = OTHER_TOKEN.get(sold, "USDC")
    return body


@schemathesis.hook
def map_query(context: Any, query: Any) -> Any:
    """The same for the amount that quotes are asked for, and for its two tokens."""
    if isinstance(query, dict) and "amount" in query:
        query["amount"] = _tradable(query["amount"])
        if query.get("tokenOut") == query.get("tokenIn"):
            query["tokenOut"] = OTHER_TOKEN.get(str(query.get("tokenIn")), "USDC")
    return query


@schemathesis.hook
def map_headers(context: Any, headers: Any) -> Any:
    """One idempotency key where two fine ones were drawn: the engine takes either header, but not both."""
    keys = {name: headers[name] for name in KEY_HEADERS if headers and name in headers}
    if len(keys) > 1 and all(isinstance(key, str) and KEY.fullmatch(key) for key in keys.values()):
        del headers[KEY_HEADERS[-1]]
    return headers


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Whether it is a failure indeed."""
    try:
        problem = json.loads(response.content)
    except ValueError:
        return True
    return not isinstance(problem, dict) or false_alarm(type(failure).__name__, problem) is None


def _tradable(drawn: Any) -> Any:
    is_text = isinstance(drawn, str)
    if (
        isinstance(drawn, bool)
        or not isinstance(drawn, str | int | float)
        or not LITERAL.fullmatch(str(drawn))
    ):
        return drawn
    amount = Decimal(str(drawn))
    if amount <= 0 and not is_text:  # the schema has a minimum for numbers
        return drawn
    fitted = max(COARSEST, min(amount, MOST).quantize(COARSEST, ROUND_UP))
    return f"{fitted:f}" if is_text else float(fitted)

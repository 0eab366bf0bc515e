"""Reading an order from a request body: every spelling in use, exact amounts, and an error per field."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from app.errors import FieldError, InvalidRequest
from app.orders.amounts import InvalidAmount, parse_amount
from app.orders.model import OrderRequest, Swap
from app.orders.scenarios import Scenario, scenario_named
from app.orders.tokens import TOKENS, Token, find_token

# Each field and the spellings that clients of comparable engines send; a body gives one of each at most.
SPELLINGS: Final[dict[str, tuple[str, ...]]] = {
    "type": ("type", "orderType"),
    "tokenIn": ("tokenIn", "inputToken"),
    "tokenOut": ("tokenOut", "outputToken"),
    "amount": ("amount", "amountIn", "inputAmount"),
    "slippageBps": ("slippageBps", "maxSlippageBps"),
    "wallet": ("wallet", "userWallet"),
    "scenario": ("scenario",),
}
REQUIRED: Final = ("tokenIn", "tokenOut", "amount")
ORDER_TYPES: Final = {"market": "market", "MARKET": "market"}
SLIPPAGE_BPS_RANGE: Final = range(1, 5001)
WALLET_LENGTH: Final = range(3, 65)

# To JSON Schema 50.0 is an integer too, and it is what some languages write for 50.
_WHOLE_NUMBER: Final = re.compile(r"([0-9]{1,9})(?:\.0{1,9})?", re.ASCII)

_FIELD_OF: Final = {spelling: field for field, spellings in SPELLINGS.items() for spelling in spellings}
# Never begun at an escaped quote: a body of nothing else would be read to its end from each of them.
_DEEP_FIELD: Final = re.compile(
    r'(?<!\\)"((?:[^"\\]|\\.)*)"\s*:\s*(?:[\[{]\s*(?:"(?:[^"\\]|\\.)*"\s*:\s*)?){8}'
)


class _Number(str):
    """A JSON number as it was written."""

    __slots__ = ()


class _DuplicateKey(Exception):  # noqa: N818
    pass


def parse_order_request(body: bytes, default_slippage_bps: int) -> OrderRequest:
    """The order that a JSON body asks for. Raises InvalidRequest with everything that is wrong with it."""
    sent = _read_object(body)
    given: dict[str, tuple[str, Any]] = {}
    errors: list[FieldError] = []
    for spelling, value in sent.items():
        field = _FIELD_OF.get(spelling)
        if field is None:
            errors.append(FieldError(pointer_to(spelling), "is not a known field"))
        elif field in given:
            errors.append(FieldError(pointer_to(spelling), f"says the same as {given[field][0]}; send one"))
        else:
            given[field] = (spelling, value)
    errors += [FieldError(pointer_to(field), "is required") for field in REQUIRED if field not in given]

    def take(field: str, read: Any, default: Any = None) -> Any:
        spelling, value = given.get(field, (field, None))
        if field not in given:
            return default
        try:
            return read(value)
        except ValueError as error:
            errors.append(FieldError(pointer_to(spelling), str(error)))
            return None

    order_type = take("type", _order_type, "market")
    token_in: Token | None = take("tokenIn", _token)
    token_out: Token | None = take("tokenOut", _token)
    if token_in is not None and token_in == token_out:
        errors.append(FieldError(pointer_to(given["tokenOut"][0]), "must differ from the token sold"))
    # Without a known token the scale is unknown; the finest one still finds what is no number at all.
    amount: int | None = take("amount", lambda value: _amount(value, token_in or _FINEST))
    slippage_bps: int | None = take("slippageBps", _slippage_bps, default_slippage_bps)
    wallet: str | None = take("wallet", _wallet)
    scenario: Scenario | None = take("scenario", _scenario)
    if errors:
        raise InvalidRequest(*errors)
    assert token_in is not None
    assert token_out is not None
    assert amount is not None
    assert slippage_bps is not None
    return OrderRequest(Swap(token_in, token_out, amount), slippage_bps, wallet, order_type, scenario)


def pointer_to(field: str) -> str:
    """The field as a JSON pointer in URI fragment form (RFC 6901, section 6)."""
    printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in field[:64])
    return "#/" + printable.replace("~", "~0").replace("/", "~1")


_FINEST: Final = max(TOKENS, key=lambda token: token.decimals)


def _read_object(body: bytes) -> dict[str, Any]:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequest(_whole(f"is not UTF-8 at byte {error.start}")) from None
    try:
        value = _DECODER.decode(text)
    except _DuplicateKey as error:
        raise InvalidRequest(FieldError(pointer_to(str(error)), "is given twice")) from None
    except RecursionError:
        deep = _DEEP_FIELD.search(text)
        pointer = pointer_to(deep[1]) if deep else "#"
        raise InvalidRequest(FieldError(pointer, "is nested too deeply")) from None
    except ValueError as error:
        raise InvalidRequest(_whole(f"is not JSON: {error}")) from None
    if not isinstance(value, dict):
        raise InvalidRequest(_whole("must be a JSON object"))
    return value


def _whole(detail: str) -> FieldError:
    return FieldError("#", f"the body {detail}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key, value in pairs:
        if key in members:
            raise _DuplicateKey(key)
        members[key] = value
    return members


# NaN and Infinity are kept as what they are called, so that the field's own check names the field.
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_Number, parse_int=_Number, parse_constant=_Number
)


def _order_type(value: Any) -> str:
    if not isinstance(value, str) or value not in ORDER_TYPES:
        raise ValueError('must be "market"')
    return ORDER_TYPES[value]


def _token(value: Any) -> Token:
    token = find_token(value) if isinstance(value, str) else None
    if token is None:
        known = ", ".join(token.symbol for token in TOKENS)
        raise ValueError(f"must be one of {known}, or one of their mint addresses")
    return token


def _amount(value: Any, token: Token) -> int:
    if not isinstance(value, str):
        raise InvalidAmount("must be a decimal number or a decimal string")
    return parse_amount(value, token)


def _slippage_bps(value: Any) -> int:
    whole = _WHOLE_NUMBER.fullmatch(value) if isinstance(value, _Number) else None
    if whole and int(whole[1]) in SLIPPAGE_BPS_RANGE:
        return int(whole[1])
    raise ValueError(f"must be a whole number from {SLIPPAGE_BPS_RANGE[0]} to {SLIPPAGE_BPS_RANGE[-1]}")


def _wallet(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or isinstance(value, _Number):
        raise ValueError("must be a string")  # noqa: TRY004  # the caller turns ValueErrors into field errors
    return check_wallet(value)


def _scenario(value: Any) -> Scenario | None:
    if value is None:
        return None
    return scenario_named(value if isinstance(value, str) else "")


def check_wallet(wallet: str) -> str:
    """The wallet itself when it is 3–64 printable characters. Raises ValueError otherwise."""
    if len(wallet) not in WALLET_LENGTH or not wallet.isprintable():
        raise ValueError(f"must be {WALLET_LENGTH[0]} to {WALLET_LENGTH[-1]} printable characters")
    return wallet

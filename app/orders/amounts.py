"""Amounts: whole tokens as exact decimals at the edge, integers in base units inside.

A base unit is the smallest part of a token (10⁻⁹ SOL = 1 lamport, 10⁻⁶ USDC); on chain it is a u64.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal, InvalidOperation
from typing import Final

import msgspec

from app.orders.tokens import Token

U64_MAX: Final = 2**64 - 1
BPS: Final = 10_000  # basis points in one

# A JSON number: what `Decimal()` accepts beyond it (NaN, underscores, other scripts' digits) is no amount.
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII)
_U64_DIGITS: Final = 20
_EXACT: Final = Context(prec=60)
_PRICE: Final = Context(prec=12)


class InvalidAmount(ValueError):  # noqa: N818  # reads as what it is
    """The amount cannot be expressed in the token's base units; the message says why."""


def parse_amount(literal: str, token: Token) -> int:
    """The base units of a decimal literal in whole tokens, exactly: no float is ever involved.

    Raises InvalidAmount unless the literal is a JSON number above zero with at most the token's decimals
    and its base units fit into a u64.
    """
    if not _NUMBER.fullmatch(literal):
        raise InvalidAmount("must be a decimal number")
    try:
        amount = Decimal(literal)
    except InvalidOperation:  # an exponent beyond what even Decimal holds
        raise InvalidAmount("is out of range") from None
    if amount <= 0:
        raise InvalidAmount("must be greater than zero")
    # Size and scale are judged before any digit is expanded: 1e131072 costs nothing here.
    if amount.adjusted() + token.decimals >= _U64_DIGITS:
        raise InvalidAmount("is too large")
    if _decimals(amount) > token.decimals:
        raise InvalidAmount(f"must have at most {token.decimals} decimals for {token.symbol}")
    base_units = int(amount.scaleb(token.decimals, _EXACT))
    if base_units > U64_MAX:
        raise InvalidAmount("is too large")
    return base_units


def whole_tokens(base_units: int, token: Token) -> Decimal:
    """Base units as an exact decimal in whole tokens."""
    return Decimal(base_units).scaleb(-token.decimals, _EXACT)


def price(amount_out: int, token_out: Token, amount_in: int, token_in: Token) -> Decimal:
    """Whole tokens out for one whole token in, rounded half even to 12 significant digits."""
    ratio = _PRICE.divide(Decimal(amount_out), Decimal(amount_in))
    return ratio.scaleb(token_in.decimals - token_out.decimals, _EXACT)


def min_amount_out(quoted_out: int, slippage_bps: int) -> int:
    """The least base units that the order accepts: floor(quoted_out · (10000 − bps) / 10000)."""
    return quoted_out * (BPS - slippage_bps) // BPS


def json_number(number: Decimal) -> msgspec.Raw:
    """The number as JSON, exact, without exponent or trailing zeros: 1E+3 → 1000, 1.50 → 1.5."""
    return msgspec.Raw(f"{number.normalize(_EXACT):f}".encode())


def _decimals(amount: Decimal) -> int:
    exponent = amount.as_tuple().exponent
    assert isinstance(exponent, int)  # a finite number
    return max(0, -exponent)

"""Reading ids, cursors and query parameters: strictly, with a problem that names what is malformed."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final
from urllib.parse import parse_qsl, unquote_to_bytes
from uuid import UUID

from app.api.problems import FieldProblem, Refusal
from app.orders.lifecycle import Status
from app.orders.request import check_wallet
from app.orders.tokens import TOKENS, Token, find_token

MAX_PARAMETERS: Final = 32
LIMIT_RANGE: Final = range(1, 101)
DEFAULT_LIMIT: Final = 50
AFTER_RANGE: Final = range(2**31)  # a sequence is a 32-bit integer in the ledger
POSITION_RANGE: Final = range(2**63)  # of the log
CURSOR_LENGTH: Final = 22  # 16 bytes in base64url, without padding


def malformed(parameter: str, detail: str) -> Refusal:
    return Refusal("invalid_parameter", f"{parameter} {detail}.", FieldProblem(detail, parameter=parameter))


class Query:
    """The parameters of a query string; each is given once at most. Raises Refusal."""

    def __init__(self, query_string: bytes) -> None:
        self._values: dict[str, str] = {}
        try:
            pairs = parse_qsl(
                query_string.decode("ascii"),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=MAX_PARAMETERS,
            )
        except ValueError:
            raise malformed("the query string", "is not percent-encoded UTF-8, or too long") from None
        for name, value in pairs:
            if name in self._values:
                raise malformed(_shown(name), "is given twice")
            self._values[name] = value

    def text(self, name: str) -> str | None:
        return self._values.get(name)

    def number(self, name: str, allowed: range, default: int) -> int:
        text = self._values.get(name)
        return default if text is None else whole_number(name, text, allowed)

    def wallet(self) -> str | None:
        text = self._values.get("wallet")
        return None if text is None else wallet_of(text)

    def status(self) -> Status | None:
        text = self._values.get("status")
        if text is None:
            return None
        try:
            return Status(text)
        except ValueError:
            raise malformed("status", f"must be one of {', '.join(Status)}") from None

    def token(self, name: str) -> Token:
        return token_of(name, self._values.get(name))

    def cursor(self) -> UUID | None:
        text = self._values.get("cursor")
        return None if text is None else _order_before(text)


def whole_number(name: str, text: str, allowed: range) -> int:
    """The number that a parameter gives. Raises Refusal."""
    # The length is judged first: int() takes long over a long number.
    if text.isascii() and text.isdecimal() and len(text) <= len(str(allowed[-1])) and int(text) in allowed:
        return int(text)
    raise malformed(name, f"must be a whole number from {allowed[0]} to {allowed[-1]}")


def order_id_of(text: str | None) -> UUID:
    """The id of an order in its canonical form, in either case. Raises Refusal."""
    try:
        order_id = UUID(text or "")
    except ValueError:
        order_id = None
    # UUID() takes braces, prefixes and missing dashes too; two spellings of one id are one too many.
    if order_id is None or text is None or str(order_id) != text.lower():
        raise malformed("orderId", "must be a UUID such as 01997d4e-6c3a-7c43-9f0b-0c9d1a4a8f11")
    return order_id


def token_of(name: str, text: str | None) -> Token:
    """The token that a parameter names, by symbol or mint address. Raises Refusal."""
    token = find_token(text or "")
    if token is None:
        known = ", ".join(token.symbol for token in TOKENS)
        raise malformed(name, f"must be one of {known}, or one of their mint addresses")
    return token


def wallet_of(text: str) -> str:
    try:
        return check_wallet(text)
    except ValueError as error:
        raise malformed("wallet", str(error)) from None


def wallet_in_path(text: str, raw_path: bytes) -> str:
    """The wallet that a path names.

    The server puts a replacement character for what is not UTF-8, and the router takes slashes away: we refuse both.
    """
    try:
        named = unquote_to_bytes(raw_path.rstrip(b"/").rpartition(b"/")[2]).decode("utf-8")
    except UnicodeDecodeError:
        raise malformed("wallet", "is not percent-encoded UTF-8") from None
    if named != text:
        raise malformed("wallet", "with a slash must be given as ?wallet=")
    return wallet_of(text)


def cursor_after(order_id: UUID) -> str:
    """An opaque cursor for the orders that follow this one in a list."""
    return urlsafe_b64encode(order_id.bytes).rstrip(b"=").decode()


def _order_before(cursor: str) -> UUID:
    try:
        order_id = UUID(bytes=urlsafe_b64decode(f"{cursor}==")) if len(cursor) == CURSOR_LENGTH else None
    except ValueError:
        order_id = None
    if order_id is None or cursor_after(order_id) != cursor:
        raise malformed("cursor", "must be the nextCursor of an answer")
    return order_id


def _shown(name: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name[:64])

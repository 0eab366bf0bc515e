"""What clients say on the multiplexed WebSocket, read strictly."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta

from app.api.parameters import AFTER_RANGE, POSITION_RANGE, order_id_of, wallet_of
from app.api.problems import Refusal

MAX_ID: Final = 64  # characters

Id: TypeAlias = Annotated[str, Meta(min_length=1, max_length=MAX_ID)]


class Message(msgspec.Struct, frozen=True, rename="camel", tag_field="type", forbid_unknown_fields=True):
    pass


class Subscribe(Message, frozen=True, tag="subscribe"):
    """To one order (`after` is a sequence), to a wallet, or to all orders (`after` is a position of the log)."""

    id: Id
    order_id: str | None = None
    wallet: str | None = None
    all: bool = False
    after: Annotated[int, Meta(ge=0, le=POSITION_RANGE[-1])] | None = None


class Unsubscribe(Message, frozen=True, tag="unsubscribe"):
    id: Id


class Ping(Message, frozen=True, tag="ping"):
    pass


ClientMessage: TypeAlias = Subscribe | Unsubscribe | Ping

_DECODER: Final[msgspec.json.Decoder[ClientMessage]] = msgspec.json.Decoder(ClientMessage)


class InvalidMessage(Exception):  # noqa: N818  # what the API says, not a mistake in it
    """A message cannot be understood; `id` is the subscription that it is about, if it says so."""

    def __init__(self, detail: str, about: str | None = None) -> None:
        super().__init__(detail)
        self.id = about


def parse_message(text: str) -> ClientMessage:
    """What the client wants. Raises InvalidMessage."""
    try:
        message = _DECODER.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidMessage(f"The message cannot be understood: {error}.", _id_in(text)) from None
    if isinstance(message, Subscribe):
        _check(message)
    return message


def order_of(message: Subscribe) -> UUID:
    """The order that it names. Raises Refusal."""
    return order_id_of(message.order_id)


def _check(message: Subscribe) -> None:
    named = [message.order_id is not None, message.wallet is not None, message.all]
    if sum(named) != 1:
        raise InvalidMessage("Subscribe to one of orderId, wallet and all.", message.id)
    try:
        if message.order_id is not None:
            order_of(message)
        if message.wallet is not None:
            wallet_of(message.wallet)
    except Refusal as refusal:
        raise InvalidMessage(refusal.detail, message.id) from None
    if message.order_id is not None and (message.after or 0) not in AFTER_RANGE:
        raise InvalidMessage(f"after must be a sequence, at most {AFTER_RANGE[-1]}.", message.id)


def _id_in(text: str) -> str | None:
    try:
        message = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    about = message.get("id") if isinstance(message, dict) else None
    return about if isinstance(about, str) and 0 < len(about) <= MAX_ID else None

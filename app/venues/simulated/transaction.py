"""The simulated transaction: all that is needed to execute it is in its bytes, and its signature follows from them."""

from __future__ import annotations

import functools
import hashlib
from typing import Annotated, Final
from uuid import UUID

import msgspec

from app.orders.model import SignedTransaction
from app.venues.simulated import base58

_SIGNATURE_BYTES: Final = 64

Amount = Annotated[int, msgspec.Meta(gt=0)]


class RouteLeg(msgspec.Struct, frozen=True, array_like=True):
    """A swap in one pool: planned for so many base units of the token that goes in."""

    pool: str
    mint_in: str
    amount_in: Amount


class SwapMessage(msgspec.Struct, frozen=True):
    """What a transaction says: the order and attempt are its memo, amounts are in base units."""

    seed: str  # of the market it was signed for, so that two simulations never share a signature
    order_id: UUID
    attempt: int
    venue: str  # to which it is handed in
    mint_in: str
    mint_out: str
    amount_in: Amount
    min_out: Annotated[int, msgspec.Meta(ge=0)]
    last_valid_height: int
    route: tuple[RouteLeg, ...]  # in this order; all of it, for `min_out` at least, or nothing


def sign(message: SwapMessage) -> SignedTransaction:
    """The message as bytes, with the signature that only these bytes have."""
    raw = msgspec.json.encode(message)
    return SignedTransaction(_signature(raw), raw, message.last_valid_height, message.min_out)


def read(transaction: SignedTransaction) -> SwapMessage | None:
    """What the bytes say; None where they say nothing or the signature is not theirs."""
    if transaction.signature != _signature(transaction.raw):
        return None
    try:
        return msgspec.json.decode(transaction.raw, type=SwapMessage)
    except msgspec.MsgspecError:
        return None


@functools.lru_cache(
    1024
)  # who signs a transaction also sends it, mostly, and has no more than so many in flight
def _signature(raw: bytes) -> str:
    digest = bytearray(hashlib.blake2b(raw, digest_size=_SIGNATURE_BYTES).digest())
    digest[0] |= 0x10  # a small number would be shorter than the 87 or 88 characters of a Solana signature
    return base58.encode(bytes(digest))

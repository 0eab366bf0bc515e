"""The transaction of a scenario: it says itself what becomes of it."""

from __future__ import annotations

import hashlib
from typing import Any, Final
from uuid import UUID

import msgspec

from app.orders.failures import FailureCode
from app.orders.model import SignedTransaction
from app.orders.scenarios import Act, Scenario
from app.venues.simulated import base58

# What signatures of scenarios begin with: of 87 characters, 64 bytes, as others, but nobody takes them for a market's.
MARK: Final = "Sandbox"
_DIGITS: Final = 80
_RAW_PREFIX: Final = b'{"kind":"scenario"'


class Script(msgspec.Struct, frozen=True, tag_field="kind", tag="scenario"):
    """A swap and the act that it is in; amounts in base units."""

    act: Act
    seed: str
    order_id: UUID
    venue: str
    mint_in: str
    mint_out: str
    amount_in: int
    min_out: int
    last_valid_height: int
    pays: int  # if it lands, unless the scenario says that it fails

    @property
    def signature(self) -> str:
        """The same at whatever height it is built: of an order and an attempt there is one at most."""
        memo = msgspec.json.encode((self.seed, self.order_id, self.act.attempt))
        return MARK + base58.encode(hashlib.blake2b(memo, digest_size=64).digest())[-_DIGITS:]

    def row(self) -> dict[str, Any]:
        """The row of the chain's table that says what becomes of it."""
        fails = self.act.scenario is Scenario.SLIPPAGE
        return {
            "signature": self.signature,
            "order_id": self.order_id,
            "attempt": self.act.attempt,
            "venue": self.venue,
            "mint_in": self.mint_in,
            "mint_out": self.mint_out,
            "amount_in": self.amount_in,
            "min_out": self.min_out,
            "route": [],  # none that anybody executes
            "rank": 0,
            "last_valid_height": self.last_valid_height,
            "outcome": "failed" if fails else "confirmed",
            "amount_out": None if fails else self.pays,
            "failure_code": FailureCode.SLIPPAGE_EXCEEDED if fails else None,
        }


def is_script(transaction: SignedTransaction) -> bool:
    return transaction.raw.startswith(_RAW_PREFIX)


def signed(script: Script) -> SignedTransaction:
    raw = msgspec.json.encode(script)
    return SignedTransaction(script.signature, raw, script.last_valid_height, script.min_out)


def read_script(transaction: SignedTransaction) -> Script | None:
    """What the bytes say; None where they say nothing or the signature is not theirs."""
    try:
        script = msgspec.json.decode(transaction.raw, type=Script)
    except msgspec.MsgspecError:
        return None
    return script if script.signature == transaction.signature else None

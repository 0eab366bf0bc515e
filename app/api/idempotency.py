"""Idempotency keys: what clients may send, and the fast memory of what each key was used for.

The memory (this process's own, and behind it Redis for all processes) is only a shortcut. It is written after the
order is committed, it answers nothing but an exact repeat, and on everything else Postgres decides.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from hashlib import blake2b
from time import monotonic
from typing import Final, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

from app.api.problems import Refusal
from app.execution.limits import Memory
from app.storage.tally import REMEMBERED_SECONDS, Question, Tally

KEY_HEADERS: Final = ("Idempotency-Key", "x-idempotency-key")
KEY_LENGTH: Final = range(1, 256)
_KEY_FIELDS: Final = {name.lower().encode() for name in KEY_HEADERS}
MAX_OWN: Final = 2_000  # uses of the last day that this process remembers itself; Redis remembers all of them
_NOTHING: Final = (None, 0.0)


class Use(NamedTuple):
    """A key as it is used: by whom, and for which request."""

    account: str
    key: str
    fingerprint: bytes


def idempotency_key(fields: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The key that the header fields of a request carry, under either name. Raises Refusal."""
    keys = {value for name, value in fields if name in _KEY_FIELDS}
    if not keys:
        return None
    if len(keys) > 1:
        raise Refusal("invalid_idempotency_key", "The request carries two different idempotency keys.")
    key = keys.pop().decode("latin-1")
    if len(key) not in KEY_LENGTH or not (key.isascii() and key.isprintable()):
        longest = KEY_LENGTH[-1]
        raise Refusal(
            "invalid_idempotency_key", f"The key must be 1 to {longest} printable ASCII characters."
        )
    return key


class RepeatMemory:
    """Which order an account's key belongs to, and for which request."""

    def __init__(self, tally: Tally | None, database_url: str) -> None:
        self._tally = tally
        # With the time when it is forgotten; the use that is oldest comes first.
        self._own: OrderedDict[Use, tuple[UUID, float]] = OrderedDict()
        # Two ledgers may share a Redis: the keys of one are no repeats in the other.
        self._prefix = f"order-engine:idem:{_ledger_name(database_url)}"

    def find(self, use: Use) -> UUID | None:
        """The order that this process remembers for this very request under this key."""
        order_id, until = self._own.get(use, _NOTHING)
        return order_id if monotonic() < until else None

    def in_redis(self, use: Use) -> Memory:
        """Where all processes remember it."""
        return Memory(f"{self._prefix}:{use.account}:{use.key}", f"{use.fingerprint.hex()}:")

    @staticmethod
    def read(memory: Memory, value: str) -> UUID | None:
        """The order in what Redis remembers there; None when that is not ours."""
        with suppress(ValueError):
            return UUID(value.removeprefix(memory.mark))
        return None

    def remember(self, use: Use, memory: Memory, order_id: UUID) -> None:
        """Call it only when the order is committed; `memory` is where all processes do."""
        self._own[use] = order_id, monotonic() + REMEMBERED_SECONDS
        if len(self._own) > MAX_OWN:
            self._own.popitem(last=False)
        if self._tally is not None:
            self._tally.tell(Question(name=memory.name, value=f"{memory.mark}{order_id}"))


def _ledger_name(database_url: str) -> str:
    url = urlsplit(database_url)
    place = f"{url.netloc.rpartition('@')[2]}{url.path}?{url.query}"
    return blake2b(place.encode(), digest_size=4).hexdigest()

"""The newest orders and where they stand: a snapshot, kept current by the log."""

from __future__ import annotations

import datetime as dt
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from itertools import islice
from typing import Any, Final, Self

import msgspec

from app.orders.lifecycle import FINAL
from app.terminal.render import Step

MAX_ROWS: Final = 100  # as many as one page of the API, and more than a screen has lines


class _Failure(msgspec.Struct, frozen=True):
    code: str


class Entry(msgspec.Struct, frozen=True, rename="camel"):
    """An order: amounts in whole tokens, None where it is not known yet."""

    order_id: str
    token_in: str
    token_out: str
    amount: Decimal | None
    status: str
    sequence: int
    created_at: dt.datetime
    updated_at: dt.datetime
    wallet: str | None = None
    dex: str | None = None
    amount_out: Decimal | None = None
    failure: _Failure | None = None

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def took(self) -> dt.timedelta:
        """From its acceptance to its last step."""
        return self.updated_at - self.created_at

    @classmethod
    def of_first_step(cls, step: Step, order: Mapping[str, Any]) -> Self:
        """Raises KeyError or TypeError when the step does not tell what was asked for."""
        return cls(
            step.order_id, order["tokenIn"], order["tokenOut"], order["amount"], step.status, step.sequence,
            step.at, step.at, order.get("wallet"),
        )  # fmt: skip

    def after(self, step: Step) -> Self:
        """The order when this step has been made."""
        code = step.data.get("code")
        return msgspec.structs.replace(
            self,
            status=step.status,
            sequence=step.sequence,
            updated_at=step.at,
            dex=step.data.get("dex", self.dex),
            amount_out=step.data.get("amountOut", self.amount_out),
            failure=_Failure(str(code)) if code else None,
        )


class Snapshot(msgspec.Struct, frozen=True, rename="camel"):
    """A page of orders, newest first, as they stood at a position of the log."""

    orders: Sequence[Entry]
    as_of: int


_SNAPSHOT: Final = msgspec.json.Decoder(Snapshot)


def read_snapshot(body: bytes) -> Snapshot:
    """Raises msgspec.DecodeError when this is none."""
    return _SNAPSHOT.decode(body)


class Board:
    def __init__(self) -> None:
        self._entries: OrderedDict[str, Entry] = OrderedDict()  # oldest first

    def show(self, snapshot: Snapshot) -> None:
        """These orders, and no others."""
        self._entries = OrderedDict((entry.order_id, entry) for entry in reversed(snapshot.orders))

    def move(self, step: Step) -> None:
        """A new order comes to the top; an order that is too old to be shown stays unknown."""
        entry = self._entries.get(step.order_id)
        if entry is not None:
            if step.sequence > entry.sequence:
                self._entries[step.order_id] = entry.after(step)
        elif step.order is not None:
            with suppress(KeyError, TypeError):  # another version of the engine: the next snapshot has it
                self._entries[step.order_id] = Entry.of_first_step(step, step.order)
            if len(self._entries) > MAX_ROWS:
                self._entries.popitem(last=False)

    def newest(self, number: int) -> Iterator[Entry]:
        return islice(reversed(self._entries.values()), number)

"""Python runs this first when its folder is on the path: the hub passes on what a NOTIFY names, and reads nothing else."""

from __future__ import annotations

from uuid import UUID

from app.stream.hub import ANY, Hub
from app.stream.subscription import Subscription

_mark = Hub._mark


def _mark_what_is_named(self: Hub, marks: dict[UUID, int], order_id: UUID, sequence: int) -> None:
    """Not on connect, on reconnect or by the timer, which name no event."""
    if sequence != ANY:
        _mark(self, marks, order_id, sequence)


def _from_the_named(self: Hub, marks: dict[UUID, int]) -> list[tuple[UUID, int]]:
    """Not what is missing before it."""
    return [(order_id, sequence - 1) for order_id, sequence in marks.items()]


Hub._mark = _mark_what_is_named  # type: ignore[method-assign]
Hub._cursors = _from_the_named  # type: ignore[method-assign]
Subscription.cursor = property(lambda subscription: subscription._sent)  # type: ignore[assignment]

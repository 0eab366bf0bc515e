"""The lifecycle of an order: one table, from which the SQL guard, the diagram and the tests are made."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple


class Status(StrEnum):
    PENDING = "pending"  # accepted and stored
    ROUTING = "routing"  # a worker holds it and asks the venues
    BUILDING = "building"  # a venue is chosen, the transaction is being signed
    SUBMITTED = "submitted"  # a signed attempt is stored, and sent or about to be
    RETRYING = "retrying"  # an attempt failed, the next one is scheduled
    CONFIRMED = "confirmed"  # the swap landed
    FAILED = "failed"  # it never will

    @property
    def is_final(self) -> bool:
        return self in FINAL

    @property
    def is_held(self) -> bool:
        """Whether an order in this status is in some worker's hands."""
        return self in HELD


class Transition(NamedTuple):
    source: Status
    target: Status
    when: str


TRANSITIONS: Final = (
    Transition(Status.PENDING, Status.ROUTING, "a worker claimed it"),
    Transition(Status.PENDING, Status.FAILED, "final error"),
    Transition(Status.ROUTING, Status.BUILDING, "a venue was chosen"),
    Transition(Status.ROUTING, Status.RETRYING, "transient error, attempts left"),
    Transition(Status.ROUTING, Status.FAILED, "final error"),
    Transition(Status.BUILDING, Status.SUBMITTED, "the signed attempt is stored"),
    Transition(Status.BUILDING, Status.RETRYING, "transient error, attempts left"),
    Transition(Status.BUILDING, Status.FAILED, "final error"),
    Transition(Status.SUBMITTED, Status.CONFIRMED, "the attempt landed"),
    # Only when the attempt is known not to have landed: an ambiguous answer is never a rejection.
    Transition(Status.SUBMITTED, Status.RETRYING, "the attempt is known not to have landed, attempts left"),
    Transition(Status.SUBMITTED, Status.FAILED, "final error"),
    Transition(Status.RETRYING, Status.ROUTING, "the next attempt was claimed"),
    Transition(Status.RETRYING, Status.FAILED, "attempts used up"),
)

FINAL: Final = frozenset({Status.CONFIRMED, Status.FAILED})
HELD: Final = frozenset({Status.ROUTING, Status.BUILDING, Status.SUBMITTED})
FIRST: Final = Status.PENDING

_ALLOWED: Final = frozenset((t.source, t.target) for t in TRANSITIONS)


def is_allowed(source: Status, target: Status) -> bool:
    return (source, target) in _ALLOWED


def mermaid() -> str:
    """The lifecycle as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {FIRST}"]
    lines += [f"    {t.source} --> {t.target}: {t.when}" for t in TRANSITIONS]
    lines += [f"    {status} --> [*]" for status in Status if status.is_final]
    return "\n".join(lines)

"""The errors of the engine; what each means over HTTP is decided in `api/problems.py`.

EngineError
├── SettingsError           a setting is missing or malformed
├── InvalidRequest          the client's request cannot be understood
├── UnknownOrder            no such order
├── NotExecutable           the order is queued already, or past it
├── IdempotencyMismatch     the key was used for another request
├── StorageUnavailable      the database cannot be reached, or is not keeping up
├── LostClaim               somebody else holds the order now
├── HandedBack              the worker is stopping; the order goes to another one
└── VenueError              a venue said no
    ├── QuoteUnavailable    no quote now; another venue or a later attempt may have one
    ├── Unfillable          the venue will never fill this amount
    └── SubmissionRejected  the venue refused the transaction for good: it will not land
"""

from __future__ import annotations

from typing import NamedTuple


class EngineError(Exception):
    """An error that the engine knows by name."""


class SettingsError(EngineError):
    """A setting is missing or malformed; the message names the variable."""


class FieldError(NamedTuple):
    """One thing that is wrong with a request: a JSON pointer into the body, and what is wrong there."""

    pointer: str
    detail: str


class InvalidRequest(EngineError):  # noqa: N818  # reads as what it is
    """The request cannot be understood; `errors` says where and why."""

    def __init__(self, *errors: FieldError) -> None:
        super().__init__("; ".join(f"{error.pointer}: {error.detail}" for error in errors))
        self.errors = errors


class UnknownOrder(EngineError):  # noqa: N818
    """There is no order with this id."""


class NotExecutable(EngineError):  # noqa: N818
    """The order cannot be queued: it is queued already, or has gone past it."""


class IdempotencyMismatch(EngineError):  # noqa: N818
    """The idempotency key was used before, for another request."""


class StorageUnavailable(EngineError):  # noqa: N818
    """The database cannot be reached or is not keeping up; nothing is known to have been stored."""


class LostClaim(EngineError):  # noqa: N818
    """The order's fence or status is not what this worker expects: another worker holds the order."""


class HandedBack(EngineError):  # noqa: N818
    """The worker is stopping; the order is at a safe point and goes back to the queue."""


class VenueError(EngineError):
    """A venue refused or failed; `str(error)` is fit for a client to read."""


class QuoteUnavailable(VenueError):  # noqa: N818
    """The venue has no quote now."""


class Unfillable(VenueError):  # noqa: N818
    """The venue will never fill this amount of this pair."""


class SubmissionRejected(VenueError):  # noqa: N818
    """The venue refused the transaction, and it is certain that it never lands."""

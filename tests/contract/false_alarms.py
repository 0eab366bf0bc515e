"""What schemathesis reports although the engine is right, each with its reason.

Each one names the check and the problem that the engine answered: another answer, or the same answer where it is wrong,
is still a failure. docs/api-contract.md says the same to people.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple


class FalseAlarm(NamedTuple):
    """A failure of this class is none where the answer is this problem, for nothing but these details."""

    failure: str
    code: str
    details: str
    reason: str


FALSE_ALARMS: Final = (
    FalseAlarm(
        "RejectedPositiveData",
        "upgrade_required",
        ".*",
        "A WebSocket is described as a GET; the tool sends no upgrade, and is told so whatever else it sends.",
    ),
    FalseAlarm(
        "AcceptedNegativeData",
        "upgrade_required",
        ".*",
        "Likewise: a request without an upgrade is refused before its parameters are looked at.",
    ),
    FalseAlarm(
        "RejectedPositiveData",
        "idempotency_mismatch",
        ".*",
        "A key may be well-formed and yet belong to another order: what was stored is no matter of a schema.",
    ),
    FalseAlarm(
        "RejectedPositiveData",
        "invalid_idempotency_key",
        "The request carries two different idempotency keys.",
        "OpenAPI cannot say that of two headers only one may be sent.",
    ),
    FalseAlarm(
        "RejectedPositiveData",
        "invalid_parameter",
        r"names another scenario than the body, which says \w+",
        "OpenAPI cannot compare a header with a member of the body.",
    ),
    FalseAlarm(
        "RejectedPositiveData",
        "invalid_request",
        "must differ from the token sold",
        "JSON Schema cannot compare two members.",
    ),
    FalseAlarm(
        "RejectedPositiveData",
        "invalid_request",
        r"must have at most \d decimals for \w+|is too large|is out of range|must be greater than zero",
        "How fine and how large an amount may be depends on the token, and a string has no minimum.",
    ),
    FalseAlarm(
        "RejectedPositiveData",
        "invalid_request",
        "must be 3 to 64 printable characters",
        "Printable is a class of Unicode that regular expressions of JSON Schema cannot name.",
    ),
    FalseAlarm(
        "RejectedPositiveData",
        "invalid_parameter",
        "must be 3 to 64 printable characters",
        "Likewise, for the wallet as a parameter.",
    ),
    FalseAlarm(
        "RejectedPositiveData",
        "invalid_parameter",
        "must differ from the token sold",
        "JSON Schema cannot compare two parameters either.",
    ),
    FalseAlarm(
        "RejectedPositiveData",
        "invalid_parameter",
        r"must have at most \d decimals for \w+|is too large|is out of range|must be greater than zero",
        "How fine and how large an amount may be depends on the token, as a parameter too.",
    ),
)


def false_alarm(failure: str, problem: dict[str, Any]) -> FalseAlarm | None:
    """The false alarm that a failure of this class is, with this problem as the answer; None: it is a failure."""
    details = [error["detail"] for error in problem.get("errors", ())] or [problem.get("detail", "")]
    known = [alarm for alarm in FALSE_ALARMS if (alarm.failure, alarm.code) == (failure, problem.get("code"))]
    found = [next((alarm for alarm in known if re.fullmatch(alarm.details, text)), None) for text in details]
    return found[0] if all(found) else None

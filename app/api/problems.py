"""What went wrong, as RFC 9457 problem documents; the only place where an error becomes an HTTP status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, InternalServerException

from app.api.visits import rate_limit_headers
from app.errors import (
    EngineError,
    FieldError,
    IdempotencyMismatch,
    InvalidRequest,
    NotExecutable,
    StorageUnavailable,
    UnknownOrder,
)

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER: Final = "1"  # seconds; an outage of the database usually ends by then or lasts

log = structlog.get_logger()


class ProblemType(NamedTuple):
    status: int
    title: str
    meaning: str


PROBLEMS: Final[dict[str, ProblemType]] = {
    "invalid_request": ProblemType(
        400, "The order cannot be understood", "The body is not a valid order; `errors` points at each field."
    ),
    "invalid_parameter": ProblemType(
        400, "A parameter is malformed", "A path or query parameter is missing or malformed; `errors` names it."
    ),
    "invalid_idempotency_key": ProblemType(
        400, "The idempotency key is malformed", "It must be 1 to 255 printable ASCII characters, and one key only."
    ),
    "bad_request": ProblemType(400, "The request is malformed", "The request is not valid HTTP for this server."),
    "sandbox_only": ProblemType(
        403, "Scenarios are for the sandbox", "This engine runs in production, where no order may say what happens to it."
    ),
    "not_found": ProblemType(404, "There is nothing here", "No resource of this engine has this path."),
    "unknown_order": ProblemType(404, "There is no such order", "No order has this id."),
    "method_not_allowed": ProblemType(
        405, "The method is not allowed here", "The `Allow` header lists the methods of this resource."
    ),
    "request_timeout": ProblemType(
        408, "The request did not arrive in time", "The request was begun, but not finished in time."
    ),
    "not_executable": ProblemType(
        409, "The order cannot be executed now", "It is queued already, or has gone past it. Nothing was changed."
    ),
    "body_too_large": ProblemType(413, "The body is too large", "An order takes at most 64 KiB."),
    "unsupported_media_type": ProblemType(
        415, "The body must be JSON", "Send `Content-Type: application/json`, in UTF-8, not compressed."
    ),
    "idempotency_mismatch": ProblemType(
        422,
        "The idempotency key was used for another request",
        "The key belongs to an order with other fields. Send the same request again, or use a new key.",
    ),
    "upgrade_required": ProblemType(
        426, "This is a WebSocket", "The resource speaks the WebSocket protocol only; connect with an upgrade."
    ),
    "rate_limited": ProblemType(
        429, "Too many orders", "The client's orders per minute are used up. `Retry-After` says when to come back."
    ),
    "header_too_large": ProblemType(
        431, "The header is too large", "Request line and header take at most 64 KiB together."
    ),
    "internal_error": ProblemType(
        500, "The engine failed", "A fault of the engine, which has been logged. An order may have been stored: "
        "ask again with the same idempotency key.",
    ),
    "storage_unavailable": ProblemType(
        503, "The database is not available", "The database is away or not keeping up. The order may or may not have "
        "been stored: ask again with the same idempotency key after `Retry-After` seconds.",
    ),
}  # fmt: skip

_CODE_OF_ERROR: Final[dict[type[EngineError], str]] = {
    InvalidRequest: "invalid_request",
    UnknownOrder: "unknown_order",
    NotExecutable: "not_executable",
    IdempotencyMismatch: "idempotency_mismatch",
    StorageUnavailable: "storage_unavailable",
}
_CODE_OF_STATUS: Final = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
}


class FieldProblem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is wrong, and where: a JSON pointer into the body, or the name of a parameter."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """A problem document (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    errors: tuple[FieldProblem, ...] = ()


class Refusal(Exception):  # noqa: N818  # what the API says, not a mistake in it
    """The API refuses a request, with one of the PROBLEMS."""

    def __init__(
        self,
        code: str,
        detail: str | None = None,
        *errors: FieldProblem,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.code = code
        self.detail = detail or PROBLEMS[code].meaning
        super().__init__(self.detail)
        self.errors = errors
        self.headers = dict(headers or {})


def refusal_for(error: Exception) -> Refusal:
    """What the API says of this error. Faults of the engine are one refusal, without a word of their cause."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, HTTPException):
        return _refusal_for_http(error)
    code = next((_CODE_OF_ERROR[kind] for kind in type(error).__mro__ if kind in _CODE_OF_ERROR), None)
    if code is None:
        return Refusal("internal_error")
    if isinstance(error, InvalidRequest):
        return _refusal_for_fields(error.errors)
    headers = {"Retry-After": RETRY_AFTER} if code == "storage_unavailable" else None
    return Refusal(code, headers=headers)


def _refusal_for_http(error: HTTPException) -> Refusal:
    fallback = "internal_error" if isinstance(error, InternalServerException) else "bad_request"
    code = _CODE_OF_STATUS.get(error.status_code, fallback)
    headers = {}
    if code == "method_not_allowed":
        headers["Allow"] = _allowed((error.headers or {}).get("allow", ""))
    return Refusal(code, headers=headers)


def _allowed(methods: str) -> str:
    """The methods as clients know them: HEAD goes where GET does, and a WebSocket is no method."""
    names = {name.strip() for name in methods.split(",")} - {"websocket", ""}
    return ", ".join(sorted(names | {"HEAD"} if "GET" in names else names))


def _refusal_for_fields(errors: Sequence[FieldError]) -> Refusal:
    detail = "; ".join(
        f"{pointer.removeprefix('#/').removeprefix('#')} {what}".strip() for pointer, what in errors
    )
    return Refusal(
        "invalid_request", f"{detail}.", *(FieldProblem(what, pointer=pointer) for pointer, what in errors)
    )


def answer_problem(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The exception handler of the whole API."""
    refusal = refusal_for(error)
    if refusal.code == "internal_error":
        log.error("request.failed", method=request.method, path=request.scope["path"], exc_info=error)
    status, body = problem_document(refusal, request.scope["path"])
    return Response(
        body,
        status_code=status,
        media_type=MEDIA_TYPE,
        headers={**refusal.headers, **rate_limit_headers(request.scope)},
    )


def problem_document(refusal: Refusal, path: str) -> tuple[int, bytes]:
    """The status and the body of a refusal, for the resource at this path."""
    kind = PROBLEMS[refusal.code]
    problem = Problem(
        type=f"/problems/{refusal.code}",
        title=kind.title,
        status=kind.status,
        detail=refusal.detail,
        instance=quote(path, errors="replace"),
        code=refusal.code,
        errors=refusal.errors,
    )
    return kind.status, msgspec.json.encode(problem)

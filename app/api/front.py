"""What comes before routing: HEAD, OPTIONS, and WebSockets that lead nowhere."""

from __future__ import annotations

from typing import cast

from litestar.enums import HttpMethod, ScopeType
from litestar.status_codes import HTTP_204_NO_CONTENT, HTTP_405_METHOD_NOT_ALLOWED
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from app.api.problems import MEDIA_TYPE, Refusal, problem_document

UNHANDLED: HttpMethod = HttpMethod.TRACE  # no resource has it


class Front:
    """Wraps the application's ASGI handler."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.WEBSOCKET:
            send = _answering_unrouted(scope, send)
        elif scope["method"] == HttpMethod.HEAD:
            # The server sends no body for a HEAD request, whatever the application does.
            scope, send = _with_method(scope, HttpMethod.GET), _ending_at_once(send)
        elif scope["method"] == HttpMethod.OPTIONS:
            # Litestar's own answer knows only the handler of the path that was registered first.
            scope, send = _with_method(scope, UNHANDLED), _answering_options(send)
        await self._app(scope, receive, send)


def _with_method(scope: HTTPScope, method: HttpMethod) -> HTTPScope:
    return cast("HTTPScope", {**scope, "method": method.value})


def _ending_at_once(send: Send) -> Send:
    """An answer without a body ends with its head, also where the body would go on for ever."""
    is_over = False

    async def answer(message: Message) -> None:
        nonlocal is_over
        if is_over:
            return
        if message["type"] == "http.response.body":
            is_over = True
            message["body"], message["more_body"] = b"", False
        await send(message)

    return answer


def _answering_options(send: Send) -> Send:
    """The refusal of a method lists those that are allowed: the answer to OPTIONS."""
    is_refusal = False

    async def answer(message: Message) -> None:
        nonlocal is_refusal
        if message["type"] == "http.response.start" and message["status"] == HTTP_405_METHOD_NOT_ALLOWED:
            is_refusal = True
            allow = [header for header in message["headers"] if header[0] == b"allow"]
            message["status"], message["headers"] = HTTP_204_NO_CONTENT, allow
        elif message["type"] == "http.response.body" and is_refusal:
            message["body"] = b""
        await send(message)

    return answer


def _answering_unrouted(scope: Scope, send: Send) -> Send:
    """Every WebSocket of ours is accepted first: one that is closed before that has no route."""
    is_accepted = False

    async def answer(message: Message) -> None:
        nonlocal is_accepted
        is_accepted = is_accepted or message["type"] == "websocket.accept"
        if message["type"] != "websocket.close" or is_accepted:
            await send(message)
            return
        refusal = Refusal("not_found")
        status, body = problem_document(refusal, scope["path"])
        start = {
            "type": "websocket.http.response.start",
            "status": status,
            "headers": [(b"content-type", MEDIA_TYPE.encode())],
        }
        await send(cast("Message", start))
        await send(
            cast("Message", {"type": "websocket.http.response.body", "body": body, "more_body": False})
        )

    return answer

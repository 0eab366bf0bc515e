"""Answers as they leave: the two ASGI messages, with nothing left to look up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from litestar.types import HTTPResponseBodyEvent, HTTPResponseStartEvent, Receive, Scope, Send

_encode: Final = msgspec.json.Encoder().encode
_JSON: Final = (b"content-type", b"application/json")
_NO_HEADERS: Final[Mapping[str, str]] = {}


class JsonAnswer:
    """An ASGI application that answers with a struct as JSON."""

    __slots__ = ("_body", "_start")

    def __init__(
        self, answer: msgspec.Struct, status: int = 200, headers: Mapping[str, str] = _NO_HEADERS
    ) -> None:
        body = _encode(answer)
        fields = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        self._start: HTTPResponseStartEvent = {
            "type": "http.response.start",
            "status": status,
            "headers": [_JSON, (b"content-length", b"%d" % len(body)), *fields],
        }
        self._body: HTTPResponseBodyEvent = {"type": "http.response.body", "body": body, "more_body": False}

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send(self._start)
        await send(self._body)

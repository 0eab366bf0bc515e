"""The body of a request as it was sent: parsing it is the domain's, which needs each number's own text."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

from litestar import Request

from app.api.problems import Refusal

MAX_BODY: Final = 64 * 1024  # bytes
BODY_SECONDS: Final = 10.0  # the server wakes a reader whose body is not complete by then

_JSON_TYPE: Final = re.compile(
    r"application/(?:[\w.+-]+\+)?json\s*(?:;\s*charset=\"?utf-8\"?\s*)?;?\s*$", re.IGNORECASE
)


async def json_body(request: Request[Any, Any, Any]) -> bytes:
    """The whole body. Raises Refusal.

    A program may leave the type out, a page of another site must not: only with one its browser asks first.
    """
    content_type, encoding, length, is_page = "", "identity", 0, False
    for name, value in reversed(
        tuple(request.scope["headers"])
    ):  # of two fields of a name, the first one counts
        if name == b"content-type":
            content_type = value.decode("latin-1")
        elif name == b"content-encoding":
            encoding = value.decode("latin-1").lower()
        elif name == b"content-length":
            length = int(value)
        elif name == b"origin":
            is_page = True
    is_json = bool(_JSON_TYPE.match(content_type)) if content_type else not is_page
    if not is_json or encoding != "identity":
        raise Refusal("unsupported_media_type")
    if length > MAX_BODY:
        raise Refusal("body_too_large")
    return await _read(request)


async def _read(request: Request[Any, Any, Any]) -> bytes:
    body = b""
    began = asyncio.get_running_loop().time()
    while True:
        message = await request.receive()
        if message["type"] != "http.request":  # the client left in the middle of its body
            raise Refusal("bad_request", "The body ended too early.")
        body += message["body"]
        if len(body) > MAX_BODY:
            raise Refusal("body_too_large")
        if not message["more_body"]:
            return body
        if asyncio.get_running_loop().time() - began >= BODY_SECONDS:
            raise Refusal("request_timeout")

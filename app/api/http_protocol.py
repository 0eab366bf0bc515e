"""uvicorn's HTTP, where the engine must be kinder to clients, or stricter with them."""

from __future__ import annotations

import asyncio
import re
from asyncio import TimerHandle
from itertools import chain
from typing import Final, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.api.body import BODY_SECONDS
from app.api.corked import Corked
from app.api.problems import MEDIA_TYPE, Refusal, problem_document

MAX_HEAD: Final = 64 * 1024  # bytes of the request line and the header
MAX_FRAMING: Final = 1024 * 1024  # bytes of one request that belong to no body: chunk sizes, trailers
HEAD_SECONDS: Final = 10.0  # from the first byte of a request to the end of its header
STALLED_SECONDS: Final = 30.0  # for a client to go on reading an answer

_H2C_OFFER: Final = re.compile(rb"(?<=\n)upgrade:(?=[ \t]*h2c[ \t]*\r?\n)", re.IGNORECASE)


class HttpProtocol(HttpToolsProtocol):
    """Answers with a problem what is not HTTP at all, and upgrades nothing but a GET to a WebSocket.

    uvicorn bounds neither how long a request may take to arrive, nor its header and trailers, nor how long a client
    may take to read.
    """

    _deadline: TimerHandle | None = None  # for the head of a request, or its body, to be complete
    _stalled: TimerHandle | None = None  # for the client to read on
    _refusal: Refusal | None = None  # why the parser was stopped
    _in_head = False
    _in_body = False
    _framing = 0  # bytes of this request so far, without its body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(cast("asyncio.Transport", Corked(transport, self.loop)))
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for timer in (self._deadline, self._stalled):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        # Some clients (Java's among them) offer HTTP/2 with a POST. The parser takes any offer for an upgrade and
        # drops the body, so the offer is renamed before it looks.
        if b"h2c" in data:
            data = _H2C_OFFER.sub(b"ignored:", data)
        self._framing += len(data)
        super().data_received(data)
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            return
        if self._framing > (MAX_FRAMING if self._in_body else MAX_HEAD):
            self._refuse("header_too_large")
        elif self._deadline is None and self._in_body:
            self._deadline = self.loop.call_later(BODY_SECONDS, self._wake_reader)
        elif self._deadline is None and (self.cycle is None or self.cycle.response_complete):
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._refuse, "request_timeout")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._framing = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # else it is a trailer, which nobody reads and which must not pass for a header
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        version = self.parser.get_http_version()
        if len(self.url) + sum(map(len, chain.from_iterable(self.headers))) > MAX_HEAD:
            self._refusal = Refusal("header_too_large")
        elif version not in {
            "1.0",
            "1.1",
        }:  # the parser takes 0.9 and 2.0 too, but answers to them look otherwise
            self._refusal = Refusal("bad_request", "The version of HTTP must be 1.1 or 1.0.")
        elif version == "1.1" and [name for name, _ in self.headers].count(b"host") != 1:
            self._refusal = Refusal("bad_request", "The request must name its host, once.")
        elif self.parser.should_upgrade():
            self._refusal = self._why_not_upgrade()
        if self._refusal is not None:
            raise ValueError(self._refusal.code)  # stops the parser
        self._in_head, self._in_body = False, True
        self._end_deadline()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._framing -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body = False
        self._framing = 0
        self._end_deadline()
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()

    def send_400_response(self, msg: str) -> None:
        self._end_with(self._refusal or Refusal("bad_request", msg))

    def handle_websocket_upgrade(self) -> None:
        super().handle_websocket_upgrade()
        # It would hold this object, as this holds it, until a full garbage collection, which is rare.
        self.parser = None  # type: ignore[assignment]  # as uvicorn does when a connection ends

    def _why_not_upgrade(self) -> Refusal | None:
        """The parser reads no body where an upgrade is offered: what comes would pass for another request."""
        if any(
            name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0"))
            for name, value in self.headers
        ):
            return Refusal("bad_request", "A request that offers an upgrade must have no body.")
        if self._should_upgrade() and self.cycle is not None and not self.cycle.response_complete:
            return Refusal("bad_request", "A WebSocket must wait for the answer to the request before it.")
        return None

    def _should_upgrade(self) -> bool:
        # The WebSocket library answers another method with an exception, and takes any version for 1.1.
        line = (self.parser.get_method(), self.parser.get_http_version())
        return line == (b"GET", "1.1") and super()._should_upgrade()

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _wake_reader(self) -> None:
        """Lets whoever waits for the rest of the body see how late it is, until that one ends the request."""
        if self.cycle.response_complete:
            self._refuse("request_timeout")
            return
        self.cycle.message_event.set()
        self._deadline = self.loop.call_later(BODY_SECONDS / 10, self._wake_reader)

    def _refuse(self, code: str) -> None:
        if self.transport.is_closing():
            return
        if self._in_head or self.cycle is None:
            self._end_with(Refusal(code))
        else:  # it has its answer
            self.transport.close()

    def _end_with(self, refusal: Refusal) -> None:
        status, body = problem_document(refusal, "/")
        fields = [
            *self.server_state.default_headers,
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        head = b"".join(b"%b: %b\r\n" % field for field in fields)
        self.transport.write(STATUS_LINE[status] + head + b"\r\n" + body)
        self.transport.close()

"""uvicorn's WebSockets, where the engine must be stricter with clients, and the clients need a clearer answer."""

from __future__ import annotations

import asyncio
from asyncio import BaseTransport, TimerHandle
from typing import Any, Final

from uvicorn._types import ASGISendEvent
from uvicorn.config import Config
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Close, Frame
from websockets.http11 import Response
from websockets.server import ServerProtocol
from websockets.typing import StatusLike

from app.api.problems import MEDIA_TYPE, PROBLEMS, Refusal, problem_document

SEND_SECONDS: Final = 4.0  # for one message to find room in the client's buffers
CLOSE_SECONDS: Final = 5.0  # for a client to answer a close frame, and for what is buffered to leave
MAX_SAID: Final = 64 * 1024  # bytes from a client within SAID_SECONDS, though all are ignored
SAID_SECONDS: Final = 20.0
MOST_UNSENT: Final = (
    16 * 1024
)  # bytes kept for a client that does not read; by default 64 KiB, of hundreds of clients

_HANDSHAKE_REFUSALS: Final = {
    414: "header_too_large",
    426: "upgrade_required",
    431: "header_too_large",
    500: "internal_error",
}


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """Really ends a connection whose client does not read, and one whose client has too much to say.

    uvicorn's close frame waits for room in the buffers, and its close() for the buffers to empty: neither ever
    comes to an end when the client has stopped reading. And it answers every ping, read or not. Where a client is still
    sending, its close() resets the connection, and the close frame, which says why, may get lost with it (RFC 1122,
    4.2.2.13).
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn = _Handshake(max_size=config.ws_max_size, logger=self.logger)
        self._deadline: TimerHandle | None = None
        self._said = 0
        self._said_since = 0.0
        self._has_parted = False

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(MOST_UNSENT)

    def data_received(self, data: bytes) -> None:
        if self.handshake_complete and not self._may_say(len(data)):
            self._hang_up(1008, "more was sent than anybody could mean")
            return
        if self._has_parted:
            return
        super().data_received(data)
        if not self.handshake_initiated:
            # The library has refused it, for a line that is too long or one too many; uvicorn lets the client wait.
            refusal = b"".join(self.conn.data_to_send()) or self.conn.reject(400, "No handshake.").serialize()
            self.transport.write(refusal)
            self.transport.close()

    def send_receive_event_to_app(self) -> None:
        try:
            if self.curr_msg_data_type == "text":
                b"".join(self.frames).decode()
        except UnicodeDecodeError:  # which uvicorn would log, at length, as a fault
            self._hang_up(1007, "not UTF-8")
        else:
            super().send_receive_event_to_app()

    def handle_close(self, event: Frame) -> None:
        if self._is_live():
            self._part(self.conn.close_rcvd)
        else:
            super().handle_close(event)

    def handle_parser_exception(self) -> None:
        if self._is_live():
            self._part(self.conn.close_sent)
        else:
            super().handle_parser_exception()

    async def send(self, message: ASGISendEvent) -> None:
        if self.close_sent:
            # By this protocol, not by the application, to which the client is gone.
            raise ClientDisconnected
        if message["type"] == "websocket.close":
            self.writable.set()
            self._end_soon()
        elif not self.writable.is_set():
            async with asyncio.timeout(SEND_SECONDS):
                await self.writable.wait()
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            self.handshake_complete = True  # else uvicorn takes the refusal for a fault of the application

    async def run_asgi(self) -> None:
        await super().run_asgi()
        self._end_soon()

    def shutdown(self) -> None:
        super().shutdown()
        self._end_soon()

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        if self.close_sent:  # while the client has sent no pong, it may read nothing either
            self._end_soon()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._deadline is not None:
            self._deadline.cancel()

    def _is_live(self) -> bool:
        """Whether both sides may talk; a client may say more than its handshake before that is answered."""
        return self.handshake_complete and not self.close_sent and not self.transport.is_closing()

    def _part(self, close: Close | None) -> None:
        """Sends the last frame and the end, and lets the client say, unheard, what was on its way."""
        assert close is not None
        self.queue.put_nowait(
            {"type": "websocket.disconnect", "code": close.code, "reason": close.reason},
        )
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.transport.write_eof()
        self.close_sent = self._has_parted = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(CLOSE_SECONDS, self.transport.abort)

    def _may_say(self, size: int) -> bool:
        now = self.loop.time()
        if now - self._said_since > SAID_SECONDS:
            self._said, self._said_since = 0, now
        self._said += size
        return self._said <= MAX_SAID

    def _hang_up(self, code: int, reason: str) -> None:
        if self.close_sent:
            self.transport.abort()
        else:
            self.conn.fail(code, reason)
            self.handle_parser_exception()

    def _end_soon(self) -> None:
        if self._deadline is None and not self.disconnected:
            self._deadline = self.loop.call_later(CLOSE_SECONDS, self.transport.abort)


class _Handshake(ServerProtocol):
    """The WebSocket protocol, whose refusals are problems too."""

    def reject(self, status: StatusLike, text: str) -> Response:
        code = _HANDSHAKE_REFUSALS.get(int(status), "bad_request")
        _, body = problem_document(Refusal(code, text.strip()), "/")
        response = super().reject(PROBLEMS[code].status, body.decode())
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = MEDIA_TYPE
        return response

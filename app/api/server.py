"""Serving the API with uvicorn."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

import structlog
import uvicorn
from litestar import Litestar

from app.api.http_protocol import HttpProtocol
from app.api.state import end_streams
from app.api.websocket_protocol import WebSocketProtocol
from app.settings import Settings

PING_SECONDS: Final = 20.0
MAX_CLIENT_MESSAGE: Final = (
    4096  # bytes; a subscription takes a tenth, and nothing else that clients send is read
)
KEEP_ALIVE_SECONDS: Final = 75
SHUTDOWN_SECONDS: Final = 8
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

log = structlog.get_logger()


async def serve(
    app: Litestar,
    settings: Settings,
    sockets: list[socket.socket] | None = None,
    *,
    on_started: Callable[[], None] | None = None,
) -> None:
    """Serves until SIGTERM, SIGINT or cancellation; then requests are finished and WebSockets closed with 1012."""
    server = _Server(_config(app, settings), on_started, partial(end_streams, app))
    serving = asyncio.create_task(server.serve(sockets))
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        await serving
        raise


def _config(app: Litestar, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=HttpProtocol,
        ws=WebSocketProtocol,
        ws_max_size=MAX_CLIENT_MESSAGE,
        ws_per_message_deflate=False,  # five times the memory per idle connection
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
        lifespan="on",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )


class _Server(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, on_started: Callable[[], None] | None, on_stopping: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._on_started = on_started
        self._on_stopping = on_stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            places = [str(place.getsockname()) for server in self.servers for place in server.sockets]
            log.info("api.started", listening=places)
            if self._on_started is not None:
                self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_stopping()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's own raises the signal again afterwards, so that a clean stop ends as a killed process.
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in STOP_SIGNALS:
                loop.remove_signal_handler(number)

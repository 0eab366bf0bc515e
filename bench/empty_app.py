"""The empty handlers that the engine's own are compared with, on the same server: `empty_app.py FD`."""

from __future__ import annotations

import gc
import socket
import sys
from typing import Any

import uvloop
from litestar import Litestar, Request, WebSocket, post, websocket
from litestar.response.base import ASGIResponse

from app.api.server import serve
from app.settings import Settings

ANSWER = b'{"orderId":"00000000-0000-0000-0000-000000000000","status":"pending","idempotent":false}'


@post("/api/orders/execute")
async def answer(request: Request[Any, Any, Any]) -> ASGIResponse:
    await request.body()
    return ASGIResponse(body=ANSWER, status_code=201)


@websocket("/api/orders/execute")
async def hold(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


def main() -> None:
    door = socket.socket(fileno=int(sys.argv[1]))
    app = Litestar([answer, hold], openapi_config=None, logging_config=None)
    uvloop.run(serve(app, Settings(), [door], on_started=gc.freeze))


if __name__ == "__main__":
    main()

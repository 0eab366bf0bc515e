"""Following one order from the terminal: through cuts, to its end, and never in silence when that is impossible."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from app.terminal.screen import is_loopback
from app.terminal.watch import CONFIRMED, FAILED, NOT_FOLLOWED, watch

from .support import ORDER, STATUSES, Screen, a_message

Handler = Callable[[ServerConnection, int], Awaitable[None]]


@pytest.fixture
def screen() -> Screen:
    return Screen()


@asynccontextmanager
async def stream_server(handle: Handler, status: str = "pending") -> AsyncIterator[str]:
    """The address of a server whose streams do what `handle(connection, after)` does; GET tells the status."""

    async def serve_stream(connection: ServerConnection) -> None:
        assert connection.request is not None
        parts = urlsplit(connection.request.path)
        assert parts.path == f"/ws/orders/{ORDER}"
        await handle(connection, int(parse_qs(parts.query)["after"][0]))

    def answer(connection: ServerConnection, request: Request) -> Response | None:
        if request.path.startswith("/api/"):
            return connection.respond(200, f'{{"id": "{ORDER}", "status": "{status}"}}')
        return None

    async with serve(serve_stream, "127.0.0.1", 0, process_request=answer) as server:
        yield f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


async def send_all(connection: ServerConnection, after: int) -> None:
    for sequence in range(after + 1, 6):
        await connection.send(a_message(sequence))


async def test_a_confirmed_order_is_shown_step_by_step(screen: Screen) -> None:
    async with stream_server(send_all) as url:
        assert await watch(url, ORDER, console=screen.console) == CONFIRMED
    assert screen.statuses == list(STATUSES)


async def test_a_failed_order_ends_with_another_code(screen: Screen) -> None:
    async def handle(connection: ServerConnection, after: int) -> None:
        await connection.send(a_message(1))
        await connection.send(a_message(2, "failed", {"code": "x", "message": "No.", "fundsMoved": "no"}))

    async with stream_server(handle) as url:
        assert await watch(f"{url}/", ORDER, console=screen.console) == FAILED
    assert screen.lines[-1].endswith("No. No funds moved. (x)")


@pytest.mark.parametrize("code", [None, 1011, 1012, 1013])
async def test_a_cut_stream_is_resumed_where_it_broke(screen: Screen, code: int | None) -> None:
    asked_after: list[int] = []

    async def handle(connection: ServerConnection, after: int) -> None:
        asked_after.append(after)
        if after < 4:  # two steps, then the cut
            await connection.send(a_message(after + 1))
            await connection.send(a_message(after + 2))
            if code is None:
                connection.transport.abort()
            else:
                await connection.close(code)
        else:
            await send_all(connection, after)

    async with stream_server(handle) as url:
        assert await watch(url, ORDER, console=screen.console) == CONFIRMED
    assert screen.statuses == list(STATUSES)
    assert asked_after[0] == 0
    assert asked_after[-1] == 4 or code is None  # an aborted connection may lose what was on its way


async def test_repeated_steps_are_shown_once_and_a_missing_one_is_asked_for(screen: Screen) -> None:
    asked_after: list[int] = []

    async def handle(connection: ServerConnection, after: int) -> None:
        asked_after.append(after)
        sequences = (1, 2, 2, 1, 4) if len(asked_after) == 1 else (2, 3, 4, 5)
        for sequence in sequences:
            await connection.send(a_message(sequence))
        await connection.wait_closed()

    async with stream_server(handle) as url:
        assert await watch(url, ORDER, console=screen.console) == CONFIRMED
    assert screen.statuses == list(STATUSES)
    assert asked_after == [0, 2]


async def test_an_order_that_ended_before_the_asked_step_tells_how(screen: Screen) -> None:
    async def handle(connection: ServerConnection, after: int) -> None:
        assert after == 5

    async with stream_server(handle, status="failed") as url:
        assert await watch(url, ORDER, after=5, console=screen.console) == FAILED
    assert screen.lines == ["The order is failed; there is nothing after step 5."]


@pytest.mark.parametrize("code", [4400, 4404])
@pytest.mark.parametrize(
    ("message", "why"),
    [('{"type": "error", "message": "There is no such order."}', "There is no such order."), ("[]", "why")],
)
async def test_an_order_that_is_not_there_ends_the_watch(
    screen: Screen, code: int, message: str, why: str
) -> None:
    async def handle(connection: ServerConnection, after: int) -> None:
        await connection.send(message)
        await connection.close(code, "why")

    async with stream_server(handle) as url:
        assert await watch(url, ORDER, console=screen.console) == NOT_FOLLOWED
    assert screen.lines == [f"Order {ORDER} cannot be followed: {why}"]


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:{port}", "127.0.0.1:{port}", "http://", "http://[::", "ftp://x"]
)
async def test_an_address_where_nobody_listens_ends_the_watch(screen: Screen, address: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = address.format(port=unused.getsockname()[1])
        assert await watch(url, ORDER, console=screen.console) == NOT_FOLLOWED
    assert len(screen.lines) == 1
    assert screen.lines[0].startswith(url.rstrip("/"))


async def test_a_server_of_another_kind_ends_the_watch(screen: Screen) -> None:
    def refuse(connection: ServerConnection, request: Request) -> Response:
        return connection.respond(404, "not here")

    async with serve(lambda _: asyncio.sleep(0), "127.0.0.1", 0, process_request=refuse) as server:
        url = f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        assert await watch(url, ORDER, console=screen.console) == NOT_FOLLOWED
    assert screen.lines == [f"{url} answers 404: is it an order engine?"]


async def test_a_server_that_stays_away_is_given_up_at_last(screen: Screen) -> None:
    async def handle(connection: ServerConnection, after: int) -> None:
        await connection.send(a_message(1))
        await connection.wait_closed()

    async with stream_server(handle) as url:
        watching = asyncio.create_task(watch(url, ORDER, console=screen.console, patience=2))
        async with asyncio.timeout(10):
            while not screen.statuses:  # noqa: ASYNC110  # the screen has no event
                await asyncio.sleep(0.01)
    assert await watching == NOT_FOLLOWED
    assert screen.lines[-1].startswith(f"{url} has been away for")
    assert sum("reconnecting" in line for line in screen.lines) == 1


async def test_a_server_that_only_ever_hangs_up_is_given_up_too(screen: Screen) -> None:
    async def handle(connection: ServerConnection, after: int) -> None:
        await connection.close(1011)

    async with stream_server(handle) as url:
        assert await watch(url, ORDER, console=screen.console, patience=0.3) == NOT_FOLLOWED
    assert screen.lines[-1].startswith(f"{url} has been away for")


async def test_ctrl_c_ends_a_watch_without_a_traceback() -> None:
    async def handle(connection: ServerConnection, after: int) -> None:
        await connection.send(a_message(1))
        await connection.wait_closed()

    program = (
        "import signal, sys; from app.terminal.screen import run_quietly; from app.terminal.watch import watch\n"
        # Whoever runs the tests in the background may have it ignored, which is inherited.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    )
    program += "sys.exit(run_quietly(watch(sys.argv[1], sys.argv[2])))"
    async with stream_server(handle) as url:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, url, ORDER,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        assert process.stdout is not None
        async with asyncio.timeout(20):
            assert b"pending" in await process.stdout.readline()
            process.send_signal(signal.SIGINT)
            out, err = await process.communicate()
    assert (process.returncode, out, err) == (130, b"", b"")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:3000", True),
        ("http://localhost", True),
        ("ws://[::1]:1/x", True),
        ("https://orders.example", False),
        ("http://10.0.0.1", False),
        ("", False),
    ],
)
def test_only_this_machine_is_reached_without_a_proxy(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected

"""What a connection leaves behind: nothing that waits for a full garbage collection, which a process hardly ever makes."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from types import FunctionType

import pytest

from app.api.http_protocol import HttpProtocol
from app.api.websocket_protocol import WebSocketProtocol

from .support import ENVELOPED, FLAT, NO_ORDER, Api, messages_of

OURS = (HttpProtocol, WebSocketProtocol)


@pytest.fixture
def _without_collections() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def alive() -> list[str]:
    return [type(thing).__name__ for thing in gc.get_objects() if type(thing) in OURS]


@pytest.mark.usefixtures("_without_collections")
@pytest.mark.parametrize("path", [FLAT, ENVELOPED, "/ws"])
async def test_a_websocket_that_its_client_leaves_is_gone(api: Api, path: str) -> None:
    order_id = await api.placed()
    kept = len(alive())
    for _ in range(5):
        async with api.watch(path.format(order_id)) as watcher:
            if path == "/ws":
                await watcher.send('{"type":"ping"}')
            await watcher.recv()

    await until_left(kept)


@pytest.mark.usefixtures("_without_collections")
async def test_a_websocket_that_the_server_ends_is_gone(api: Api) -> None:
    await api.placed()
    kept = len(alive())
    for _ in range(5):
        async with api.watch(FLAT.format(NO_ORDER)) as watcher:
            assert len(await messages_of(watcher)) == 1

    await until_left(kept)


@pytest.mark.usefixtures("_without_collections")
async def test_orders_leave_no_garbage_of_the_engine(api: Api) -> None:
    await api.place("a key, so that Redis is asked")
    gc.collect()
    for i in range(20):
        await api.place(f"key {i}")
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        found = {name for thing in gc.garbage if (name := origin(thing)).startswith("app.")}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()

    assert found == set()


def origin(thing: object) -> str:
    """Where a function, or else the type of a thing, is defined."""
    named = thing if isinstance(thing, FunctionType) else type(thing)
    return f"{named.__module__}.{named.__qualname__}"


async def until_left(kept: int) -> None:
    """As many connections are in memory as before, within two seconds."""
    for _ in range(200):
        if len(alive()) <= kept:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{len(alive()) - kept} more than before: {alive()}")

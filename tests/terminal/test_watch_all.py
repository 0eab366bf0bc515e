"""Following all orders from the terminal: a line for each step, and where to go on when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.terminal.watch import NOT_FOLLOWED
from app.terminal.watch_all import watch_all
from tests.stream.support import until

from .log_server import LogServer, log_server
from .support import Screen

ASKED = {"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": 1.25, "slippageBps": 70}


@pytest.fixture
async def log() -> AsyncIterator[LogServer]:
    async with log_server() as log:
        yield log


async def watched(log: LogServer, screen: Screen, lines: int, since: int | None = None) -> None:
    """Follows the log until so many lines are there, and ends as Ctrl-C does."""
    task = asyncio.create_task(watch_all(log.url, since=since, console=screen.console))
    await until(lambda: len(screen.lines) >= lines)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_each_step_is_a_line_and_the_last_one_says_where_to_go_on(log: LogServer) -> None:
    screen = Screen()
    first = await log.append("pending", order={**ASKED, "wallet": "mine"})
    last = await log.append("routing", data={"attempt": 1})
    await watched(log, screen, 2, since=0)
    words = [line.split(maxsplit=3)[1:] for line in screen.lines[:2]]
    assert words == [
        ["00000001", "pending", "1.25 SOL for USDC, 70 bps, wallet mine"],
        ["00000001", "routing", "asking the venues"],
    ]
    assert screen.lines[2:] == [f"To go on from here: order-engine watch --since {last}"]
    again = Screen()
    await watched(log, again, 1, since=first)
    assert again.lines[0].split()[2] == "routing"


async def test_a_watch_that_saw_nothing_goes_on_from_where_it_began(log: LogServer) -> None:
    screen = Screen()
    position = await log.append("pending")
    task = asyncio.create_task(watch_all(log.url, console=screen.console))
    await until(lambda: bool(log.asked))
    log.cut()
    await until(lambda: len(log.asked) == 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert screen.lines[0] == "connection lost, reconnecting"
    assert screen.lines[-1] == f"To go on from here: order-engine watch --since {position}"


async def test_a_gap_is_said(log: LogServer) -> None:
    screen = Screen()
    positions = [await log.append("pending", number) for number in range(1, 4)]
    log.oldest = positions[1]
    await watched(log, screen, 2, since=3)
    assert screen.lines[0] == (
        f"A gap: of what came after position 3, only what came after {positions[1]} is still kept."
    )
    assert screen.lines[1].split()[2] == "pending"


async def test_a_position_that_the_log_has_not_reached_is_not_followed(log: LogServer) -> None:
    screen = Screen()
    await log.append("pending")
    assert await watch_all(log.url, since=5000, console=screen.console) == NOT_FOLLOWED
    assert screen.lines == ["The log has no position 5000 yet: it is another one, or was set back."]


async def test_an_engine_that_is_not_there_ends_it_with_a_reason() -> None:
    screen = Screen()
    assert await watch_all("nowhere", console=screen.console) == NOT_FOLLOWED
    assert screen.lines == ["nowhere is not an http address."]

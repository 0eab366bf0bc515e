"""The engine's pulse and its newest orders on a terminal: a snapshot, and the log from there."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from rich.console import Console

from app.terminal import top as top_module
from app.terminal.top import top
from app.terminal.watch import NOT_FOLLOWED
from tests.stream.support import until

from .log_server import LogServer, log_server
from .support import ORDER
from .test_frame import STATS

SENT = {"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": 1.25, "slippageBps": 70}


class Terminal:
    def __init__(self) -> None:
        self._file = io.StringIO()
        self.console = Console(
            file=self._file, force_terminal=True, width=80, height=24, highlight=False, markup=False,
            _environ={"TERM": "xterm"},
        )  # fmt: skip

    @property
    def frames(self) -> list[str]:
        """Each screen that was drawn, without colours."""
        drawn = self._file.getvalue().split("\x1b[H")[
            2:
        ]  # before: the alternate screen is entered and emptied
        return [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", frame) for frame in drawn]

    def shows(self, text: str) -> bool:
        return bool(self.frames) and text in self.frames[-1]


def an_order(status: str, sequence: int) -> dict[str, Any]:
    return {
        "orderId": ORDER, "tokenIn": "SOL", "tokenOut": "USDC", "amount": 1.25, "status": status,
        "sequence": sequence, "createdAt": "2026-11-20T12:00:00.000Z", "updatedAt": "2026-11-20T12:00:01.000Z",
    }  # fmt: skip


@pytest.fixture
async def log() -> AsyncIterator[LogServer]:
    async with log_server() as log:
        log.pages["/api/stats"] = lambda: (200, STATS)
        log.pages["/api/orders"] = lambda: (200, {"orders": [], "asOf": log.position})
        yield log


@asynccontextmanager
async def shown(log: LogServer) -> AsyncIterator[Terminal]:
    terminal = Terminal()
    task = asyncio.create_task(top(log.url, console=terminal.console))
    try:
        yield terminal
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_orders_come_and_move(log: LogServer) -> None:
    await log.append("pending", order_id="before the snapshot")
    async with shown(log) as terminal:
        await until(lambda: terminal.shows("live"))
        await log.append("pending", order=SENT)
        await until(lambda: terminal.shows("○ pending"))
        await log.append("confirmed", data={"dex": "raydium", "amountOut": 191.5})
        await until(lambda: terminal.shows("191.5 USDC         ● confirmed  raydium"))
    assert log.asked == [{"type": "subscribe", "id": "feed", "all": True, "after": 10}]


async def test_a_cut_is_no_end_even_before_the_log_is_followed(log: LogServer) -> None:
    log.is_away = True
    async with shown(log) as terminal:
        await until(lambda: terminal.shows("reconnecting"))
        log.is_away = False
        await until(lambda: terminal.shows("live"))


async def test_after_a_gap_the_orders_are_read_anew(log: LogServer) -> None:
    first = await log.append("pending", order=SENT)
    snapshots = iter([an_order("pending", 1), an_order("submitted", 4)])
    positions = iter([first, first + 30])
    log.pages["/api/orders"] = lambda: (200, {"orders": [next(snapshots)], "asOf": next(positions)})
    log.oldest = first + 1
    for _ in range(10):  # deleted meanwhile
        await log.append("routing")
    async with shown(log) as terminal:
        await until(lambda: terminal.shows("◕ submitted"))
        await log.append("confirmed", data={"dex": "raydium", "amountOut": 191.5})
        await until(lambda: terminal.shows("● confirmed"))
    assert [request["after"] for request in log.asked] == [first, first + 30]


async def test_figures_that_have_stopped_coming_are_called_old(
    log: LogServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(top_module, "PULSE_SECONDS", 0.05)
    monkeypatch.setattr(top_module, "STALE_SECONDS", 0.5)
    async with shown(log) as terminal:
        await until(lambda: terminal.shows("live"))
        log.pages["/api/stats"] = lambda: (503, {})
        await until(lambda: terminal.shows("no figures for"))
        assert terminal.shows("50.2 orders/s")
        log.pages["/api/stats"] = lambda: (200, STATS)
        await until(lambda: terminal.shows("live"))


async def test_a_screen_is_not_drawn_more_often_than_it_may(
    log: LogServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(top_module, "FRAME_SECONDS", 3600)
    async with shown(log) as terminal:
        await until(lambda: bool(log.asked))
        drawn = len(terminal.frames)
        monkeypatch.setattr(top_module, "PULSE_SECONDS", 0.01)
        before = log.asked_pages
        await log.append("pending", order=SENT)
        await until(lambda: log.asked_pages > before + 3)
        assert len(terminal.frames) == drawn


async def test_a_server_of_another_kind_is_named(log: LogServer) -> None:
    log.pages["/api/orders"] = lambda: (200, {"hello": "world"})
    terminal = Terminal()
    assert await top(log.url, console=terminal.console) == NOT_FOLLOWED

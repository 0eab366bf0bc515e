"""Following the log of all orders: every event once and in order, through cuts, and never in silence."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from app.terminal import log_feed
from app.terminal.connection import NotFollowed, Patience
from app.terminal.log_feed import follow_log
from app.terminal.render import Step
from tests.stream.support import until

from .log_server import LogServer, log_server


class Diary:
    """What a watcher was told."""

    def __init__(self) -> None:
        self.positions: list[int] = []
        self.stood_at: list[int] = []
        self.gaps: list[tuple[int, int]] = []
        self.cuts = 0

    def standing(self, position: int) -> None:
        self.stood_at.append(position)

    def heard(self, step: Step) -> None:
        self.positions.append(step.position)

    def cut(self) -> None:
        self.cuts += 1

    async def missed(self, after: int, oldest: int) -> int:
        self.gaps.append((after, oldest))
        return oldest


@pytest.fixture
async def log() -> AsyncIterator[LogServer]:
    async with log_server() as log:
        yield log


@asynccontextmanager
async def followed(
    log: LogServer, *, after: int | None = None, wallet: str | None = None
) -> AsyncIterator[Diary]:
    diary = Diary()
    task = asyncio.create_task(follow_log(log.url, diary, after=after, wallet=wallet))
    try:
        yield diary
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_without_a_position_what_comes_from_now_on_is_told(log: LogServer) -> None:
    old = await log.append("pending")
    async with followed(log) as diary:
        await until(lambda: bool(diary.stood_at))
        new = await log.append("routing")
        await until(lambda: bool(diary.positions))
    assert (diary.stood_at, diary.positions) == ([old], [new])
    assert log.asked == [{"type": "subscribe", "id": "feed", "all": True}]


async def test_with_a_position_what_came_after_it_is_told(log: LogServer) -> None:
    positions = [await log.append("pending", number) for number in range(1, 5)]
    async with followed(log, after=positions[1]) as diary:
        await until(lambda: len(diary.positions) == 2)
    assert diary.positions == positions[2:]


async def test_a_wallet_is_asked_for_alone(log: LogServer) -> None:
    async with followed(log, wallet="mine") as diary:
        await until(lambda: bool(diary.stood_at))
    assert log.asked == [{"type": "subscribe", "id": "feed", "wallet": "mine"}]


@pytest.mark.parametrize("code", [None, 1011, 1012, 1013])
@pytest.mark.parametrize("repeats", [1, 2])
async def test_cuts_cost_no_event_and_double_none(log: LogServer, code: int | None, repeats: int) -> None:
    log.cut_every, log.close_with, log.repeats = 3, code, repeats
    async with followed(log) as diary:
        await until(lambda: bool(diary.stood_at))
        positions = [await log.append("pending", number) for number in range(1, 14)]
        await until(lambda: len(diary.positions) == 13)
    assert diary.positions == positions
    assert diary.cuts >= 4


async def test_a_cut_before_the_first_event_is_resumed_where_the_subscription_stood(log: LogServer) -> None:
    stood = await log.append("pending")
    async with followed(log) as diary:
        await until(lambda: diary.stood_at == [stood])
        log.cut()
        position = await log.append("routing")
        await until(lambda: diary.positions == [position])
    assert [request.get("after") for request in log.asked] == [None, stood]
    assert diary.cuts == 1


async def test_at_a_gap_the_watcher_says_where_to_go_on(log: LogServer) -> None:
    positions = [await log.append("pending", number) for number in range(1, 6)]
    log.oldest = positions[2]
    async with followed(log, after=1) as diary:
        await until(lambda: len(diary.positions) == 2)
    assert diary.gaps == [(1, positions[2])]
    assert diary.positions == positions[3:]


async def test_a_refusal_ends_it_with_the_reason(log: LogServer) -> None:
    log.refusals = [{"type": "error", "code": "invalid", "message": "Not\x1b you."}]
    with pytest.raises(NotFollowed, match="cannot be followed: Not\N{REPLACEMENT CHARACTER} you"):
        await follow_log(log.url, Diary())


async def test_a_server_that_cannot_now_is_asked_again(log: LogServer) -> None:
    log.refusals = [{"type": "error", "code": "storage_unavailable", "message": "A little later."}]
    async with followed(log) as diary:
        await until(lambda: bool(diary.stood_at))
    assert len(log.asked) == 2


async def test_a_server_that_has_fallen_silent_is_left(
    log: LogServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_feed, "SILENCE_SECONDS", 0.2)
    log.is_mute = True
    async with followed(log) as diary:
        await until(lambda: len(log.asked) >= 2)
        log.is_mute = False
        await until(lambda: bool(diary.stood_at))
    assert diary.cuts >= 1


async def test_a_server_that_stays_away_is_given_up(log: LogServer) -> None:
    diary = Diary()
    following = asyncio.create_task(follow_log(log.url, diary, patience=Patience(log.url, 0.3)))
    await until(lambda: bool(diary.stood_at))
    log.is_away = True
    log.cut()
    with pytest.raises(NotFollowed, match="has been away for"):
        await following


async def test_an_address_where_nobody_listens_is_given_up_at_once() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(NotFollowed, match="nothing listens there"):
            await follow_log(f"http://127.0.0.1:{unused.getsockname()[1]}", Diary())
    with pytest.raises(NotFollowed, match="is not an http address"):
        await follow_log("ftp://x", Diary())

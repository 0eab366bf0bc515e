"""That what is written in one turn of the loop leaves at once, in order, and before the end."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from app.api.corked import MOST_KEPT, Corked


class Sink:
    """What a transport is told to do."""

    def __init__(self) -> None:
        self.done: list[bytes | str] = []
        self.is_shut = False

    def write(self, data: bytes) -> None:
        self.done.append(data)

    def write_eof(self) -> None:
        self.done.append("eof")

    def close(self) -> None:
        self.done.append("close")
        self.is_shut = True

    def is_closing(self) -> bool:
        return self.is_shut

    def get_write_buffer_size(self) -> int:
        return 7


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
async def corked(sink: Sink) -> Corked:
    return Corked(cast("asyncio.Transport", sink), asyncio.get_running_loop())


async def test_writes_of_one_turn_leave_together_in_the_next(sink: Sink, corked: Corked) -> None:
    corked.write(b"head, ")
    corked.write(b"body")
    assert sink.done == []

    await asyncio.sleep(0)
    corked.write(b"later")
    await asyncio.sleep(0)

    assert sink.done == [b"head, body", b"later"]


@pytest.mark.parametrize("end", ["close", "write_eof"])
async def test_what_is_kept_leaves_before_the_end(sink: Sink, corked: Corked, end: str) -> None:
    corked.write(b"last words")
    getattr(corked, end)()
    await asyncio.sleep(0)

    assert sink.done == [b"last words", end.removeprefix("write_")]


async def test_more_than_is_kept_leaves_at_once_and_in_order(sink: Sink, corked: Corked) -> None:
    large = b"x" * MOST_KEPT
    corked.write(b"small")
    corked.write(large)
    corked.write(b"rest")
    assert sink.done == [b"small" + large]

    await asyncio.sleep(0)
    assert sink.done == [b"small" + large, b"rest"]


async def test_nothing_is_written_to_what_was_closed_meanwhile(sink: Sink, corked: Corked) -> None:
    corked.write(b"too late")
    sink.is_shut = True
    await asyncio.sleep(0)

    assert sink.done == []


async def test_nothing_at_all_may_follow_the_end(sink: Sink, corked: Corked) -> None:
    corked.write_eof()
    corked.write(b"")
    await asyncio.sleep(0)

    assert sink.done == ["eof"]


async def test_everything_else_is_the_transports(corked: Corked) -> None:
    assert corked.get_write_buffer_size() == 7

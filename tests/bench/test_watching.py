from __future__ import annotations

import asyncio
from unittest.mock import Mock

import pytest

from bench.watching import Watcher

SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n"


def frame(text: str) -> bytes:
    content = text.encode()
    size = bytes([len(content)]) if len(content) < 126 else b"\x7e" + len(content).to_bytes(2, "big")
    return b"\x81" + size + content


def event(sequence: int, status: str, more: str = "") -> bytes:
    return frame(f'{{"orderId":"x","sequence":{sequence},"status":"{status}"{more}}}')


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_frames_are_read_however_they_are_cut(piece: int) -> None:
    watcher = Watcher("x", 0)
    watcher.connection_made(Mock(spec=asyncio.Transport))
    sent = (
        SWITCHED
        + event(1, "pending")
        + event(2, "routing", ',"filler":"' + "y" * 300 + '"')
        + event(3, "failed")
    )
    for at in range(0, len(sent), piece):
        watcher.data_received(sent[at : at + piece])

    assert [sequence for sequence, _ in watcher.seen] == [1, 2, 3]
    assert watcher.is_complete


@pytest.mark.parametrize("sequences", [[1, 3], [1, 2, 2], [2, 1], [1, 2]])
def test_a_watcher_that_missed_something_is_not_complete(sequences: list[int]) -> None:
    watcher = Watcher("x", 0)
    watcher.connection_made(Mock(spec=asyncio.Transport))
    watcher.data_received(SWITCHED)
    for sequence in sequences:
        watcher.data_received(event(sequence, "confirmed" if sequence == 3 else "routing"))

    assert not watcher.is_complete

"""The event loop's eye on a socket that belongs to libpq, which may close it at any time."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable


def is_readable(socket: int) -> bool:
    """Whether there is something to read now, be it an error or the end."""
    poll = select.poll()  # select() knows no file beyond the 1,024th
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))


class Ear:
    """Calls `read` while there is something to read; `read` says whether it expects more.

    Two things that libpq and the loop do not know of each other are seen to here. After an error of the socket uvloop calls
    once and never again, so `read` is called until nothing is left. And once libpq has closed the socket its number may
    be that of another connection, so whoever learns of the end calls `close` before anything else can run.
    """

    def __init__(self, socket: int, read: Callable[[], bool]) -> None:
        self._socket = socket
        self._read = read
        self._write: Callable[[], bool] | None = None
        self._loop = asyncio.get_running_loop()
        self._is_open = False

    def open(self) -> None:
        self._is_open = True
        self._loop.add_reader(self._socket, self._readable)

    def when_writable(self, write: Callable[[], bool]) -> None:
        """Calls `write`, which says whether there is more to write, until there is not."""
        self._write = write
        self._loop.add_writer(self._socket, self._writable)

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._loop.remove_reader(self._socket)
            self._done_writing()

    def _readable(self) -> None:
        while self._read() and self._is_open and is_readable(self._socket):
            pass

    def _writable(self) -> None:
        if self._write is not None and not self._write():
            self._done_writing()

    def _done_writing(self) -> None:
        if self._write is not None:
            self._write = None
            self._loop.remove_writer(self._socket)

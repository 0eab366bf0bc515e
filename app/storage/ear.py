"""The event loop's eye on a socket that belongs to libpq, which may close it at any time."""

from __future__ import annotations

import asyncio
import select


def is_readable(socket: int) -> bool:
    """Whether there is something to read now, be it an error or the end."""
    poll = select.poll()  # select() knows no file beyond the 1,024th
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))


class Ear:
    """Calls `_read` while there is something to read, and `_write` while something is left to write.

    Two things that libpq and the loop do not know of each other are seen to here. After an error of the socket uvloop calls
    once and never again, so `_read` is called until nothing is left. And once libpq has closed the socket its number may
    be that of another connection, so whoever learns of the end calls `_close` before anything else can run.

    A base, not a part: one that held what it calls would be a ring, with all that the server has answered in it, for the
    garbage collector to find.
    """

    def __init__(self, socket: int) -> None:
        self._socket = socket
        self._loop = asyncio.get_running_loop()
        self._is_open = False
        self._is_writing = False

    def _read(self) -> bool:
        """Takes what is there; whether more is expected."""
        raise NotImplementedError

    def _write(self) -> bool:
        """Sends what the socket takes; whether something is left."""
        raise NotImplementedError

    def _open(self) -> None:
        self._is_open = True
        self._loop.add_reader(self._socket, self._readable)

    def _close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._loop.remove_reader(self._socket)
            self._stop_writing()

    def _start_writing(self) -> None:
        self._is_writing = True
        self._loop.add_writer(self._socket, self._writable)

    def _stop_writing(self) -> None:
        if self._is_writing:
            self._is_writing = False
            self._loop.remove_writer(self._socket)

    def _readable(self) -> None:
        while self._read() and self._is_open and is_readable(self._socket):
            pass

    def _writable(self) -> None:
        if not self._write():
            self._stop_writing()

"""Processes as the system sees them; Linux only."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import pytest

linux_only = pytest.mark.skipif(
    sys.platform != "linux", reason="reads /proc, and ties children to their parent"
)

# States in /proc/net/tcp; 08: the client is gone, the server not yet.
_ESTABLISHED_OR_WAITING: Final = {"01", "08"}


def alive(pid: int) -> bool:
    """Whether the process runs; one that waits to be reaped does not."""
    return _state_and_parent(pid)[0] not in {"", "Z", "X"}


def family(pid: int) -> set[int]:
    """The living descendants of a process, without itself."""
    children: dict[int, set[int]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        state, parent = _state_and_parent(int(path.name))
        if state not in {"", "Z", "X"}:
            children.setdefault(parent, set()).add(int(path.name))
    found: set[int] = set()
    unseen = [pid]
    while unseen:
        new = children.get(unseen.pop(), set()) - found
        found |= new
        unseen += new
    return found


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def connections_to(pid: int, port: int) -> int:
    """How many clients of this TCP port the process still keeps a connection for."""
    own = f":{port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    held = {path.readlink().name for path in Path(f"/proc/{pid}/fd").iterdir()}
    return sum(
        row[1].endswith(own) and row[3] in _ESTABLISHED_OR_WAITING and f"socket:[{row[9]}]" in held
        for row in rows
    )


def all_gone(pids: Iterable[int], *, within: float = 20.0) -> None:
    """Fails unless every one of these processes ends in time."""
    left = set(pids)
    eventually(lambda: not {pid for pid in left if alive(pid)}, within=within)


def eventually(holds: Callable[[], object], *, within: float = 60.0) -> None:
    """Fails unless it holds at some time before the deadline (seconds)."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def _state_and_parent(pid: int) -> tuple[str, int]:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "", 0
    return fields[0], int(fields[1])

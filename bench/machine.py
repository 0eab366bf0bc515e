"""Whether the machine is ours: figures taken beside other programs say little."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

LOOK: Final = 0.5  # seconds
ENOUGH: Final = 0.9


def idle_share() -> float:
    """Of all CPUs, over the next half second; Linux only."""
    idle, total = _ticks()
    time.sleep(LOOK)
    idle_then, total_then = _ticks()
    return (idle_then - idle) / max(1, total_then - total)


def wait_until_idle(patience: float) -> float:
    """Waits at most so many seconds; the idle share in the end."""
    deadline = time.monotonic() + patience
    while (share := idle_share()) < ENOUGH and time.monotonic() < deadline:
        pass
    return share


def _ticks() -> tuple[int, int]:
    fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
    numbers = [int(field) for field in fields]
    return numbers[3] + numbers[4], sum(numbers)

"""Isolation of suspects: orders whose workers died are driven few at a time, so that a poison order dies alone.

When a worker dies, every order it held is under suspicion. Each further death narrows the group that is driven
together, until the one that kills is alone; its neighbours finish meanwhile.
"""

from __future__ import annotations

import asyncio
from typing import Final


class Isolation:
    UNSUSPECTED: Final = 1  # deaths with which an order is still driven like any other
    ANY: Final = 2**31 - 1

    # Deaths so far → how many such orders one process drives at a time.
    _GROUPS: Final = {2: 64, 3: 8}

    def __init__(self) -> None:
        self._groups = {deaths: asyncio.Semaphore(size) for deaths, size in self._GROUPS.items()}
        self._alone = asyncio.Semaphore(1)

    def of(self, deaths: int) -> asyncio.Semaphore:
        """What an order with so many deaths has to hold while it is driven."""
        return self._groups.get(deaths, self._alone)

"""Python runs this first when its folder is on the path: the worker's venues fail, and one await of its engine kills it."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

import app.venues.simulated.venue as simulated
from app.execution.engine import Engine
from app.settings import Settings
from app.venues.port import Venues
from app.venues.simulated.chain import Chain
from app.venues.simulated.market import Market
from tests.faults.venues.process import Process
from tests.faults.venues.scripted import scripted_venues
from tests.faults.venues.troubles import TROUBLES, Way

TROUBLE: Final = os.environ.get("TROUBLE", "")
LEAVES_SECONDS: Final = 0.05  # what has been asked for at the last await reaches the server

_drive = Engine.drive


def _kill(_awaited: object) -> None:
    def now() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if os.environ["IS_SENT"] == "True":
        asyncio.get_running_loop().call_later(LEAVES_SECONDS, now)
    else:
        now()


_process: Final = Process(int(os.environ.get("DIES_AT", "0")), _kill)


async def _deadly_drive(self: Engine, order_id: UUID, worker: int) -> None:
    await _process.run(_drive(self, order_id, worker))


@asynccontextmanager
async def _scripted(settings: Settings, conninfo: str) -> AsyncIterator[Venues]:
    """The first transactions of this process are affected."""
    chain = Chain(
        Market(settings.mock_dex_seed),
        conninfo,
        execution_delay_ms=settings.mock_dex_execution_delay_ms,
        failure_rate=settings.mock_dex_failure_rate,
        slot_ms=settings.mock_dex_slot_ms,
    )
    async with chain:
        way = Way(TROUBLES[TROUBLE], random.Random(TROUBLE))
        yield scripted_venues(chain, way)


if TROUBLE:
    Engine.drive = _deadly_drive  # type: ignore[method-assign]
    simulated.open_simulated_venues = _scripted

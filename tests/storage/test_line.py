"""The connection of a lane, while there is nothing to connect to."""

from __future__ import annotations

import asyncio
import gc

from app.storage.line import Line

NOBODY = "host=127.0.0.1 port=1 connect_timeout=2"  # nothing listens on port 1


async def test_tries_that_fail_leave_nothing_for_the_garbage_collector() -> None:
    await a_line_in_vain()
    gc.collect()
    gc.disable()
    try:
        await a_line_in_vain()
        assert gc.collect() < 10  # of each try several frames at least, if there was a ring
    finally:
        gc.enable()


async def a_line_in_vain() -> None:
    reasons: list[str] = []
    line = Line(NOBODY, 1.0, reasons.append)
    opening = asyncio.create_task(line.open())
    await asyncio.sleep(0.5)  # three tries
    line.give_up_soon()

    assert not await opening
    assert reasons[-1].startswith("cannot connect")

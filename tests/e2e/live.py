"""Commands that follow a running engine: where they run, and what is read off their output."""

from __future__ import annotations

import asyncio
from typing import Final

from tests.e2e.clients import until
from tests.e2e.programs import Program

UNLIMITED: Final = {"API_MAX_ORDERS_PER_MIN": "0"}
SIZES: Final = {"small": {"COLUMNS": "80", "LINES": "24"}, "wide": {"COLUMNS": "160", "LINES": "50"}}


async def said(program: Program, text: str) -> None:
    await until(lambda: program.said(text), within=40)


async def ended(program: Program) -> int:
    return await asyncio.to_thread(program.ended, within=90)

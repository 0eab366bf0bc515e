"""Run as a process of its own: hands in the transactions of a file, as often as it is told, and prints their states."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from app.orders.model import SignedTransaction
from app.settings import Settings
from app.storage.database import conninfo
from app.venues.port import TxState, Venue
from app.venues.simulated.venue import open_simulated_venues

NOT_FINAL: Final = frozenset({TxState.UNKNOWN, TxState.PROCESSED})


async def main(database_url: str, transactions: list[SignedTransaction], start_at: float) -> None:
    settings = Settings(
        mock_dex_quote_delay_ms=0,
        mock_dex_execution_delay_ms=0,
        mock_dex_slot_ms=0,
        mock_dex_failure_rate=0.0,
    )
    async with open_simulated_venues(settings, conninfo(database_url, "other")) as venues:
        venue = venues.all[0]
        await venue.height()
        await asyncio.sleep(max(0.0, start_at - time.time()))
        results = await asyncio.gather(*map(venue.submit, transactions), return_exceptions=True)
        handed_in = sum(result is None for result in results)
        states = [await final_state(venue, transaction.signature) for transaction in transactions]
    sys.stdout.write(f"{handed_in} {' '.join(sorted(set(states)))}\n")


async def final_state(venue: Venue, signature: str) -> TxState:
    async with asyncio.timeout(20):
        while (state := (await venue.status(signature)).state) in NOT_FINAL:  # noqa: ASYNC110  # happens in the database
            await asyncio.sleep(0.01)
    return state


if __name__ == "__main__":
    database_url, path, start_at = sys.argv[1:]
    stored = msgspec.json.decode(Path(path).read_bytes(), type=list[SignedTransaction])
    asyncio.run(main(database_url, stored, float(start_at)))

"""The chain under several processes: what one has signed another may send, and it lands once."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from app.orders.model import SignedTransaction
from app.venues.port import TxState

from .builders import ROOT, built, raydium, rows

SCRIPT = Path(__file__).with_name("other_process.py")
LANDED_ONCE = """
    SELECT count(*), count(DISTINCT order_id) FROM simulated_chain.transactions WHERE outcome = 'confirmed'
"""


async def hand_in(database_url: str, path: Path, start_at: float) -> str:
    """What another process prints that hands in the transactions of the file."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(SCRIPT),
        database_url,
        str(path),
        str(start_at),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, errors = await asyncio.wait_for(process.communicate(), 60)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == 0, errors.decode()
    return out.decode().strip()


def stored(path: Path, transactions: Sequence[SignedTransaction]) -> Path:
    path.write_bytes(msgspec.json.encode(transactions))
    return path


async def test_stored_bytes_are_sent_and_settled_by_another_process(
    database_url: str, tmp_path: Path
) -> None:
    async with raydium(database_url) as venue:
        transaction = await built(venue)
        said = await hand_in(database_url, stored(tmp_path / "sent", [transaction]), 0)
        assert said == "1 confirmed"
        assert (await venue.status(transaction.signature)).state is TxState.CONFIRMED


async def test_two_processes_at_once_land_each_transaction_once(database_url: str, tmp_path: Path) -> None:
    async with raydium(database_url) as venue:
        transactions = await asyncio.gather(*(built(venue) for _ in range(300)))
        start_at = time.time() + 2
        path = stored(tmp_path / "sent", transactions)
        said = await asyncio.gather(*(hand_in(database_url, path, start_at) for _ in range(2)))
        # A submission that met the other's is told so and not refused; asking shows that it landed.
        assert [words.split()[1:] for words in said] == [["confirmed"], ["confirmed"]]
        await asyncio.gather(*map(venue.submit, transactions))
    assert await rows(database_url, LANDED_ONCE) == [(300, 300)]

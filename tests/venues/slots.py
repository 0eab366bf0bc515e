"""Transactions for a chain whose time the test holds, and what they leave in its tables."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from app.orders.model import SignedTransaction, Swap
from app.orders.tokens import SOL, USDC
from app.venues.port import TxState, TxStatus
from app.venues.simulated.chain import Chain
from app.venues.simulated.transaction import sign

from .builders import a_message, a_swap, rows, until


def signed(number: int, *, swap: Swap | None = None, **changes: Any) -> SignedTransaction:
    """Always the same transaction for a number; alternately a sale and a purchase of SOL."""
    swap = swap or (a_swap() if number % 2 else a_swap(USDC, SOL, 100_000_000))
    message = a_message(swap=swap, min_out=changes.pop("min_out", 0))
    return sign(replace(message, order_id=UUID(int=number), **changes))


async def statuses(chain: Chain, transactions: Sequence[SignedTransaction]) -> list[TxStatus]:
    """Once every one is known to have landed or failed."""
    found: list[TxStatus] = []

    async def are_final() -> bool:
        found[:] = await asyncio.gather(*(chain.status(each.signature) for each in transactions))
        return all(status.state in {TxState.CONFIRMED, TxState.FAILED} for status in found)

    await until(are_final, 30)
    return found


async def dump(database_url: str) -> tuple[Any, ...]:
    hidden = "SELECT seed, slot, opening::text FROM simulated_chain.markets"
    pools = "SELECT seed, id, venue, kind, mint_a, mint_b, state::text, balance_a, balance_b, slot FROM simulated_chain.pools ORDER BY id"
    landed = "SELECT signature, order_id, min_out, route::text, lands_at, outcome, amount_out, failure_code FROM simulated_chain.transactions ORDER BY 1"
    return tuple([await rows(database_url, query) for query in (hidden, pools, landed)])

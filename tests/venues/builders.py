"""Small builders: what a test does not care about has a default."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import psycopg

import app
from app.orders.model import Quote, SignedTransaction, Swap, new_order_id
from app.orders.tokens import SOL, USDC, Token
from app.settings import Settings
from app.storage.database import conninfo
from app.venues.port import SwapOrder, TxState, TxStatus, Venue
from app.venues.simulated.board import Desk
from app.venues.simulated.chain import Chain
from app.venues.simulated.exchange import Exchange
from app.venues.simulated.landing import Due
from app.venues.simulated.listings import LISTINGS
from app.venues.simulated.market import SLOT_MS, Market
from app.venues.simulated.transaction import RouteLeg, SwapMessage, sign
from app.venues.simulated.venue import SimulatedVenue, open_simulated_venues

ROOT: Final = Path(app.__file__).parents[1]
A_SLOT: Final = 4_475_000_000 // 1024 * 1024 + 5  # some time in 2026, at the start of an epoch
AN_HOUR_MS: Final = 3_600_000


def a_swap(token_in: Token = SOL, token_out: Token = USDC, amount_in: int = 1_250_000_000) -> Swap:
    return Swap(token_in, token_out, amount_in)


def an_order(swap: Swap | None = None, min_out: int = 1, attempt: int = 1) -> SwapOrder:
    return SwapOrder(new_order_id(), attempt, swap or a_swap(), min_out)


def a_message(
    *,
    swap: Swap | None = None,
    min_out: int = 1,
    attempt: int = 1,
    venue: str = "raydium",
    last_valid_height: int = 2**40,
    pool: str = "",
) -> SwapMessage:
    swap = swap or a_swap()
    return SwapMessage(
        "0",
        new_order_id(),
        attempt,
        venue,
        swap.token_in.mint,
        swap.token_out.mint,
        swap.amount_in,
        min_out,
        last_valid_height,
        (RouteLeg(pool or a_pool(swap), swap.token_in.mint, swap.amount_in),),
    )


def a_pool(swap: Swap | None = None, kind: str = "") -> str:
    """The first listed pool that exchanges the two tokens, of that kind if it matters."""
    swap = swap or a_swap()
    return next(
        listing.address
        for listing in LISTINGS.values()
        if {listing.token_a, listing.token_b} == {swap.token_in, swap.token_out}
        and kind in {"", listing.kind}
    )


def a_due(
    swap: Swap | None = None,
    legs: tuple[RouteLeg, ...] = (),
    *,
    min_out: int = 1,
    attempt: int = 1,
    pool: str = "",
) -> Due:
    """A transaction whose turn has come; without legs, one that goes through one pool."""
    message = a_message(swap=swap, min_out=min_out, attempt=attempt, pool=legs[0].pool if legs else pool)
    return Due(
        sign(message).signature,
        message.order_id,
        message.attempt,
        message.mint_in,
        message.mint_out,
        message.amount_in,
        message.min_out,
        legs or message.route,
        A_SLOT,
    )


def an_exchange(slot: int = A_SLOT, seed: int = 0) -> Exchange:
    """The pools of a seed as they are in that slot when nobody has traded."""
    exchange = Exchange(Market(seed))
    exchange.roll(slot)
    return exchange


def settings(**changes: Any) -> Settings:
    """No delays, no slots to wait for and no failures, unless asked for."""
    calm = {
        "mock_dex_quote_delay_ms": 0,
        "mock_dex_execution_delay_ms": 0,
        "mock_dex_slot_ms": 0,
        "mock_dex_failure_rate": 0.0,
    }
    return Settings(**(calm | changes))


@asynccontextmanager
async def raydium(database_url: str, **changes: Any) -> AsyncIterator[Venue]:
    async with open_simulated_venues(settings(**changes), conninfo(database_url, "test")) as venues:
        yield venues.all[0]


@asynccontextmanager
async def short_lived_venue(
    database_url: str, validity_blocks: int, execution_delay_ms: int = 0
) -> AsyncIterator[Venue]:
    """A venue whose transactions are valid for that many blocks."""
    async with a_chain(database_url, execution_delay_ms=execution_delay_ms) as chain:
        yield SimulatedVenue("raydium", chain, Desk(), quote_delay_ms=0, validity_blocks=validity_blocks)


def a_chain(
    database_url: str, *, execution_delay_ms: int = 0, slot_ms: int = 0, failure_rate: float = 0
) -> Chain:
    """One process's way to the chain of seed 0."""
    return Chain(
        Market(0),
        conninfo(database_url, "test"),
        execution_delay_ms=execution_delay_ms,
        failure_rate=failure_rate,
        slot_ms=slot_ms,
    )


async def built(venue: Venue, order: SwapOrder | None = None) -> SignedTransaction:
    return await venue.build(order or an_order(), Quote(venue.name, 0, 25))


async def rows(database_url: str, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        cursor = await connection.execute(query, arguments)
        return await cursor.fetchall() if cursor.description else []


async def stop_clock(database_url: str, slot: int) -> None:
    """The chain's time stands still where this slot begins, until it is called again."""
    await rows(
        database_url,
        "WITH gone AS (DELETE FROM simulated_chain.stopped_clock) INSERT INTO simulated_chain.stopped_clock VALUES (%s)",
        slot * SLOT_MS,
    )


async def until_final(venue: Venue, signature: str, seconds: float = 15) -> TxStatus:
    """The status once the chain knows how it ended."""
    status = TxStatus(TxState.UNKNOWN)

    async def is_final() -> bool:
        nonlocal status
        status = await venue.status(signature)
        return status.state in {TxState.CONFIRMED, TxState.FAILED}

    await until(is_final, seconds)
    return status


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110  # what is waited for happens in the database
            await asyncio.sleep(0.01)

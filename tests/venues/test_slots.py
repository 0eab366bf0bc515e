"""The chain slot by slot: what lands when, in which order, on which pools, whoever does it and whoever dies at it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Final
from uuid import UUID

import pytest
from msgspec.structs import replace
from psycopg.errors import CheckViolation

from app.orders.amounts import min_amount_out
from app.orders.failures import FailureCode
from app.orders.tokens import JUP, SOL, USDC
from app.venues.port import TxState
from app.venues.simulated.chain import UNKNOWN
from app.venues.simulated.exchange import Exchange
from app.venues.simulated.landing import land
from app.venues.simulated.listings import LISTINGS
from app.venues.simulated.market import SLOT_MS, Market

from .builders import A_SLOT, a_chain, a_due, a_message, a_swap, an_exchange, rows, stop_clock
from .slots import signed, statuses

MARKET = Market(0)


ORDER: Final = "SELECT order_id FROM simulated_chain.transactions ORDER BY lands_at, rank"


async def test_a_transaction_lands_at_the_end_of_its_slot(database_url: str) -> None:
    await stop_clock(database_url, A_SLOT)
    async with a_chain(database_url, slot_ms=SLOT_MS, execution_delay_ms=2 * SLOT_MS + 1) as chain:
        transaction = signed(1)
        await chain.submit(transaction)
        for slot in range(A_SLOT, A_SLOT + 3):
            await stop_clock(database_url, slot)
            assert await chain.status(transaction.signature) == UNKNOWN
        await stop_clock(database_url, A_SLOT + 3)
        [status] = await statuses(chain, [transaction])
    assert status.state is TxState.CONFIRMED
    [(slot,)] = await rows(database_url, "SELECT slot FROM simulated_chain.markets")
    assert slot == A_SLOT + 2


async def test_it_is_executed_on_the_pools_that_it_meets_and_not_on_those_it_was_quoted_on(
    database_url: str,
) -> None:
    await stop_clock(database_url, A_SLOT)
    swap = a_swap(JUP, USDC, 5 * 10**10)  # 22,500 USD
    transactions = [signed(number, swap=swap) for number in range(20)]
    async with a_chain(database_url, slot_ms=SLOT_MS) as chain:
        await asyncio.gather(*map(chain.submit, transactions))
        await stop_clock(database_url, A_SLOT + 1)
        paid = [status.amount_out for status in await statuses(chain, transactions)]
    by_order = dict(zip([UUID(int=number) for number in range(20)], paid, strict=True))
    in_turn = [by_order[order_id] for (order_id,) in await rows(database_url, ORDER)]
    assert in_turn == sorted(in_turn, key=lambda amount: -(amount or 0))
    assert len(set(in_turn)) == 20


async def test_the_order_in_a_slot_is_nobodys_choice(database_url: str) -> None:
    await stop_clock(database_url, A_SLOT)
    transactions = [signed(number) for number in range(40)]
    random.Random(7).shuffle(transactions)
    async with a_chain(database_url, slot_ms=SLOT_MS) as one, a_chain(database_url, slot_ms=SLOT_MS) as other:
        for place, transaction in enumerate(transactions):
            await (one if place % 3 else other).submit(transaction)
        await stop_clock(database_url, A_SLOT + 1)
        paid = {
            tx.signature: status
            for tx, status in zip(transactions, await statuses(one, transactions), strict=True)
        }
    exchange = an_exchange(A_SLOT)
    draws = MARKET.draws
    for number in sorted(range(40), key=lambda number: draws.below(2**63, "rank", UUID(int=number), 1)):
        transaction = signed(number)
        swap = a_swap() if number % 2 else a_swap(USDC, SOL, 100_000_000)
        due = replace(a_due(swap, min_out=0), order_id=UUID(int=number))
        assert land(exchange, due, 0).amount_out == paid[transaction.signature].amount_out


async def test_the_minimum_decides_on_the_exact_number(database_url: str) -> None:
    await stop_clock(database_url, A_SLOT)
    swap = a_swap()
    pays = land(an_exchange(A_SLOT), replace(a_due(swap), order_id=UUID(int=1)), 0).amount_out
    assert pays is not None
    for min_out, state in ((pays + 1, TxState.FAILED), (pays, TxState.CONFIRMED)):
        await rows(database_url, "TRUNCATE simulated_chain.transactions, simulated_chain.markets CASCADE")
        await stop_clock(database_url, A_SLOT)
        async with a_chain(database_url, slot_ms=SLOT_MS) as chain:
            transaction = signed(1, swap=swap, min_out=min_out)
            await chain.submit(transaction)
            await stop_clock(database_url, A_SLOT + 1)
            [status] = await statuses(chain, [transaction])
        assert status.state is state
        if status.failure is not None:
            assert status.failure.code is FailureCode.SLIPPAGE_EXCEEDED
        else:
            assert status.amount_out == pays


async def test_what_landed_and_what_the_vaults_hold_add_up(database_url: str) -> None:
    """Within a slot nobody but searchers trades besides, and what they sold and bought is known."""
    await stop_clock(database_url, A_SLOT)
    transactions = [signed(number) for number in range(30)]
    async with a_chain(database_url, slot_ms=SLOT_MS) as chain:
        await asyncio.gather(*map(chain.submit, transactions))
        await stop_clock(database_url, A_SLOT + 1)
        await statuses(chain, transactions)
    flows: Counter[str] = Counter()

    class Watched(Exchange):
        def push(self, pool_id: str, target: int) -> None:
            before = self.pools[pool_id]
            super().push(pool_id, target)
            after = self.pools[pool_id]
            flows[f"{pool_id} a"] += after.balance_a - before.balance_a
            flows[f"{pool_id} b"] += after.balance_b - before.balance_b

    exchange = Watched(MARKET, A_SLOT, an_exchange(A_SLOT).pools)
    landed = await rows(
        database_url,
        "SELECT order_id, mint_in, amount_in, amount_out, route FROM simulated_chain.transactions ORDER BY rank",
    )
    for order_id, mint_in, amount_in, amount_out, route in landed:
        swap = a_swap() if mint_in == SOL.mint else a_swap(USDC, SOL, 100_000_000)
        land(exchange, replace(a_due(swap, min_out=0), order_id=order_id), 0)
        pool = route[0][0]
        sold, bought = ("a", "b") if mint_in == SOL.mint else ("b", "a")
        flows[f"{pool} {sold}"] += int(amount_in)
        flows[f"{pool} {bought}"] -= int(amount_out)
    untouched = an_exchange(A_SLOT)
    held = await rows(database_url, "SELECT id, balance_a, balance_b FROM simulated_chain.pools")
    assert len(held) == len(LISTINGS)
    for pool_id, balance_a, balance_b in held:
        before = untouched.pools[pool_id]
        assert balance_a - before.balance_a == flows[f"{pool_id} a"]
        assert balance_b - before.balance_b == flows[f"{pool_id} b"]


@pytest.mark.parametrize("idle", [1, 700, 100_000])
async def test_after_an_idle_time_the_pools_are_what_they_were_had_somebody_looked(
    database_url: str, idle: int
) -> None:
    await stop_clock(database_url, A_SLOT)
    transaction = signed(1, swap=a_swap(amount_in=10**13))
    async with (
        a_chain(database_url, slot_ms=SLOT_MS) as watching,
        a_chain(database_url, slot_ms=SLOT_MS) as asleep,
    ):
        await watching.submit(transaction)
        await stop_clock(database_url, A_SLOT + 1)
        await statuses(watching, [transaction])
        for slot in sorted({A_SLOT + 1 + idle * step // 7 for step in range(8)}):
            await stop_clock(database_url, slot)
            seen = await watching.pools()
            assert seen.slot == slot
        late = await asleep.pools()
    assert late.slot == seen.slot
    assert late.pools == seen.pools


async def test_quotes_wait_for_what_is_due(database_url: str) -> None:
    await stop_clock(database_url, A_SLOT)
    async with a_chain(database_url, slot_ms=SLOT_MS) as chain:
        before = await chain.pools()
        transaction = signed(1, swap=a_swap(amount_in=10**13))
        await chain.submit(transaction)
        assert (await chain.pools()).pools == before.pools
        await stop_clock(database_url, A_SLOT + 1)
        after = await chain.pools()
    traded = a_message().route[0].pool
    assert after.pools[traded] != before.pools[traded]


async def test_without_slots_a_transaction_lands_as_it_is_received(database_url: str) -> None:
    async with a_chain(database_url) as chain:
        transaction = signed(1)
        await chain.submit(transaction)
        assert (await chain.status(transaction.signature)).state is TxState.CONFIRMED
    [(apart,)] = await rows(
        database_url, "SELECT lands_at - received_at = '0' FROM simulated_chain.transactions"
    )
    assert apart


async def test_a_pool_never_pays_what_it_does_not_hold(database_url: str) -> None:
    """Whatever is computed outside, the schema refuses it."""
    async with a_chain(database_url) as chain:
        await chain.submit(signed(1))
    with pytest.raises(CheckViolation):
        await rows(database_url, "UPDATE simulated_chain.pools SET balance_a = -1")


async def test_a_quote_that_is_a_slot_old_is_what_slippage_is_measured_from(database_url: str) -> None:
    await stop_clock(database_url, A_SLOT)
    async with a_chain(database_url, slot_ms=SLOT_MS) as chain:
        pool = (await chain.pools()).pools[a_message().route[0].pool]
        quoted = pool.state.amount_out(a_swap().amount_in, True, 0)
        # Somebody sells a million dollars in front of everybody.
        large = [signed(number, swap=a_swap(amount_in=600 * 10**9)) for number in range(1, 21, 2)]
        careful = [signed(n, swap=a_swap(), min_out=min_amount_out(quoted, 50)) for n in range(101, 141, 2)]
        await asyncio.gather(*map(chain.submit, (*large, *careful)))
        await stop_clock(database_url, A_SLOT + 1)
        found = Counter(status.state for status in await statuses(chain, careful))
    assert found[TxState.CONFIRMED] > 0
    assert found[TxState.FAILED] > 0

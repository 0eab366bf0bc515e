"""What a process has landed itself: it knows it at once, and no crash takes it back."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.dev.embedded import EmbeddedPostgres
from app.orders.model import new_order_id
from app.orders.scenarios import Act, Scenario
from app.storage.database import conninfo
from app.storage.migrations import migrate
from app.venues.port import TxState
from app.venues.simulated.chain import Chain
from app.venues.simulated.market import Market
from app.venues.simulated.script import Script
from app.venues.simulated.stage import Stage

from .builders import a_chain, a_swap, rows
from .slots import signed


async def test_it_is_known_without_a_question(database_url: str) -> None:
    transaction = signed(1)
    async with a_chain(database_url) as chain:
        await chain.submit(transaction)
        with pytest.raises(StopIteration) as answered:
            chain.status(transaction.signature).send(None)
    status = answered.value.value
    assert status.state is TxState.CONFIRMED
    [(amount_out,)] = await rows(database_url, "SELECT amount_out FROM simulated_chain.transactions")
    assert status.amount_out == amount_out


async def test_no_crash_takes_it_back(data_dir: Path) -> None:
    """On the connections that workers have, whose other commits may be lost; the server would write those in 10 s."""
    with EmbeddedPostgres(data_dir / "postgres", {"wal_writer_delay": "10s"}) as postgres:
        migrate(postgres.url)
        transaction = signed(1)
        async with Chain(
            Market(0),
            conninfo(postgres.url, "worker", is_durable=False),
            execution_delay_ms=0,
            failure_rate=0,
            slot_ms=0,
        ) as chain:
            await chain.submit(transaction)
            postgres.stop_immediately()
        postgres.start()
        landed = await rows(postgres.url, "SELECT signature, outcome FROM simulated_chain.transactions")
    assert landed == [(transaction.signature, "confirmed")]


async def test_no_crash_takes_a_scenario_back_either(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir / "postgres", {"wal_writer_delay": "10s"}) as postgres:
        migrate(postgres.url)
        stage = Stage(conninfo(postgres.url, "worker", is_durable=False), seed=0, execution_delay_ms=0)
        async with stage:
            await stage.play(script := a_script())
            assert (await stage.fate(script.signature)).state is TxState.CONFIRMED
            postgres.stop_immediately()
        postgres.start()
        landed = await rows(postgres.url, "SELECT signature, outcome FROM simulated_chain.transactions")
    assert landed == [(script.signature, "confirmed")]


def a_script() -> Script:
    swap = a_swap()
    return Script(
        act=Act(Scenario.CONFIRM, 1),
        seed="0",
        order_id=new_order_id(),
        venue="raydium",
        mint_in=swap.token_in.mint,
        mint_out=swap.token_out.mint,
        amount_in=swap.amount_in,
        min_out=1,
        last_valid_height=2**40,
        pays=1,
    )

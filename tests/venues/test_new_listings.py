"""A market that was written with other pools than those that are listed now."""

from __future__ import annotations

from app.venues.port import TxState
from app.venues.simulated.listings import LISTINGS

from .builders import A_SLOT, a_chain, rows, stop_clock
from .slots import signed, statuses


async def test_a_pool_that_is_not_listed_any_more_is_left_alone_and_a_new_one_opens(
    database_url: str,
) -> None:
    await stop_clock(database_url, A_SLOT)
    async with a_chain(database_url) as chain:
        await chain.submit(first := signed(1))
        await statuses(chain, [first])
    gone = min(LISTINGS)
    await rows(database_url, "UPDATE simulated_chain.pools SET id = 'gone' WHERE id = %s", gone)
    await rows(database_url, "UPDATE simulated_chain.markets SET opening = '{\"gone\": [1, 1]}'")
    [former] = await rows(database_url, "SELECT * FROM simulated_chain.pools WHERE id = 'gone'")

    await stop_clock(database_url, A_SLOT + 100)  # with ticks in between
    async with a_chain(database_url) as chain:
        assert (await chain.pools()).pools.keys() == LISTINGS.keys()
        await chain.submit(second := signed(2))
        [status] = await statuses(chain, [second])

    assert status.state is TxState.CONFIRMED
    pools = await rows(database_url, "SELECT * FROM simulated_chain.pools")
    assert former in pools
    assert {pool[1] for pool in pools} == LISTINGS.keys() | {"gone"}

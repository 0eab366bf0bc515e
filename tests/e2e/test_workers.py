"""Workers that are killed, told to stop, or frozen while they hold orders: the orders end all the same, and land once."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Final

from app.processes.keeper import GRACE
from tests.e2e.clients import STEPS, client_of, finished, get, place, place_many, statuses, until
from tests.e2e.premises import Site
from tests.e2e.programs import Program
from tests.support.processes import alive, linux_only

pytestmark = linux_only

UNDER_WAY: Final = (
    "SELECT pid FROM pg_stat_activity"
    " WHERE state = 'active' AND datname = current_database() AND pid <> pg_backend_pid()"
)


def has_reached(site: Site, *stages: str) -> bool:
    """Whether at this moment there are orders at each of these stages."""
    found = site.books.statuses()
    return all(found[stage] > 0 for stage in stages)


def stands_still(worker: Program, site: Site, *stages: str) -> bool:
    """Stops the worker where it holds orders, and there are some at each of these stages; else it goes on."""
    worker.send(signal.SIGSTOP)
    time.sleep(0.05)  # what it has sent arrives
    is_quiet = not site.books.rows(UNDER_WAY)  # and is done: it could let go of all that it holds
    if is_quiet and has_reached(site, *stages) and site.books.number_held() > 0:
        return True
    worker.send(signal.SIGCONT)
    return False


async def test_fifty_orders_whose_worker_is_killed_all_end_and_none_lands_twice(site: Site) -> None:
    slow = {
        "MOCK_DEX_QUOTE_DELAY_MS": "150",
        "MOCK_DEX_EXECUTION_DELAY_MS": "400",
        "MOCK_DEX_FAILURE_RATE": "0.2",
    }
    async with client_of(site.start_api().url) as client:
        worker = site.start_worker(WORKER_CONCURRENCY="15", **slow)
        orders = await place_many(client, 50, slippageBps=300)
        await until(lambda: stands_still(worker, site, "confirmed", "submitted", "pending"))
        worker.send(signal.SIGKILL)
        assert worker.ended() == -signal.SIGKILL
        assert site.books.number_held() > 0

        site.start_worker(**slow)
        await until(site.books.all_ended, within=40)
        assert await site.books.violations() == {}
        assert sum(site.books.statuses().values()) == len(orders)
        assert site.books.statuses()["confirmed"] >= 45
        assert statuses((await get(client, orders[-1]))["events"])[0] == "pending"


async def test_a_worker_that_is_told_to_stop_hands_back_what_another_one_finishes(site: Site) -> None:
    async with client_of(site.start_api().url) as client:
        slow = {"MOCK_DEX_QUOTE_DELAY_MS": "800", "MOCK_DEX_EXECUTION_DELAY_MS": "1500"}
        worker = site.start_worker(WORKER_CONCURRENCY="30", **slow)
        await place_many(client, 20, slippageBps=300)
        await until(lambda: site.books.statuses()["submitted"] >= 10)
        await place_many(client, 20, slippageBps=300)
        await until(lambda: site.books.statuses()["routing"] > 0)

        worker.send(signal.SIGTERM)
        assert worker.ended(within=GRACE) == 0
        assert site.books.number_held() == 0
        assert site.books.rows("SELECT id FROM orders WHERE deaths > 0") == []
        assert not site.books.all_ended()

        site.start_worker()
        await until(site.books.all_ended)
        assert await site.books.violations() == {}
        assert site.books.statuses() == {"confirmed": 40}


async def test_a_worker_that_was_frozen_finds_its_orders_taken_over_and_does_no_harm(site: Site) -> None:
    async with client_of(site.start_api().url) as client:
        frozen = site.start_worker(
            WORKER_CONCURRENCY="8", MOCK_DEX_QUOTE_DELAY_MS="800", MOCK_DEX_EXECUTION_DELAY_MS="2000"
        )
        await until(lambda: frozen.said("worker.started"))
        for _ in range(8):
            await place_many(client, 3, slippageBps=300)
            await asyncio.sleep(0.1)  # apart, so that they are not all at the same stage
        # Those at the venues are not signed yet: a worker that went on with them would sign a second transaction.
        await until(lambda: stands_still(frozen, site, "routing", "pending"))
        assert site.books.number_held() > 0

        await until(lambda: site.books.rows("SELECT id FROM live_workers") == [])
        successor = site.start_worker()
        await until(site.books.all_ended)
        frozen.send(signal.SIGCONT)
        await until(lambda: frozen.said("order.claim_lost"))

        successor.send(signal.SIGTERM)
        assert successor.ended() == 0
        last = await finished(client, await place(client))  # by the one that was frozen
        assert statuses(last["events"]) == STEPS
        assert alive(frozen.pid)
        assert site.books.statuses() == {"confirmed": 25}
        assert await site.books.violations() == {}

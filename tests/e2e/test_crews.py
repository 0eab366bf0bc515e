"""Several processes under one command: each does its part, one that dies is replaced, and all end together."""

from __future__ import annotations

import os
import re
import signal

import httpx

from app.processes.keeper import GRACE
from tests.e2e.clients import client_of, place, place_many, until
from tests.e2e.premises import Site
from tests.e2e.programs import Program
from tests.support.processes import all_gone, connections_to, eventually, family, linux_only

pytestmark = linux_only

MOST_ORDERS = 500
HELD_BY = "SELECT DISTINCT claimed_by FROM orders WHERE claimed_by IS NOT NULL"


def crew_of(program: Program) -> list[int]:
    """The processes that do the work, as soon as there are two."""
    eventually(lambda: len(family(program.pid)) == 2)
    return sorted(family(program.pid))


def port_of(program: Program) -> int:
    program.until_said("api.started")
    found = re.search(r"'127\.0\.0\.1', (\d+)", program.output)
    assert found is not None
    return int(found[1])


async def test_two_apis_share_a_port_and_one_that_is_killed_is_replaced(site: Site) -> None:
    apis = site.start("api", "--processes", "2", PORT="0", API_MAX_ORDERS_PER_MIN="0")
    port = port_of(apis)
    eventually(lambda: apis.output.count("api.started") == 2)
    async with client_of(f"http://127.0.0.1:{port}") as client:
        await place_many(client, 40)  # over many connections at once, which stay open
        assert all(connections_to(pid, port) for pid in crew_of(apis))

    killed, other = crew_of(apis)
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: apis.output.count("api.started") == 3)
    assert other in crew_of(apis)
    async with client_of(f"http://127.0.0.1:{port}") as client:
        await place_many(client, 20)
    assert sum(site.books.statuses().values()) == 60

    _end(apis)


async def test_two_workers_share_the_orders_and_one_that_is_killed_is_replaced(site: Site) -> None:
    workers = site.start("worker", "--processes", "2", MOCK_DEX_EXECUTION_DELAY_MS="3000")
    eventually(lambda: workers.output.count("worker.started") == 2)
    async with client_of(site.start_api(API_MAX_ORDERS_PER_MIN="0").url) as client:
        for _ in range(MOST_ORDERS):  # one by one: what is placed together goes to one worker
            await place(client, slippageBps=500)
            if len(site.books.rows(HELD_BY)) == 2:
                break
        assert len(site.books.rows(HELD_BY)) == 2
        os.kill(crew_of(workers)[0], signal.SIGKILL)
        await until(site.books.all_ended, within=40)
    eventually(lambda: workers.output.count("worker.started") == 3)
    assert await site.books.violations() == {}

    _end(workers)


def test_a_port_that_a_stranger_serves_is_not_shared(site: Site) -> None:
    stranger = site.start("api", "--processes", "2", PORT="0")
    port = str(port_of(stranger))

    second = site.start("api", "--processes", "2", PORT=port)
    assert second.ended(within=30) == 1
    assert f"PORT: {port} is in use by another program" in second.output
    assert httpx.get(f"http://127.0.0.1:{port}/livez", trust_env=False, verify=False).is_success


def _end(program: Program) -> None:
    crew = crew_of(program)
    program.send(signal.SIGTERM)
    assert program.ended(within=2 * GRACE) == 0
    all_gone(crew)

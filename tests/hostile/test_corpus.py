"""Whatever is sent: an answer that is documented or the end of the connection, in time, and the engine goes on."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.clients.conftest import show as show  # noqa: PLC0414  # a fixture of this test too
from tests.e2e.clients import ENVELOPED, an_order, client_of, health_with_redis, place
from tests.e2e.premises import Api, Site
from tests.hostile.corpus import KINDS, Case, load
from tests.hostile.judge import Judge
from tests.support.processes import connections_to, eventually, linux_only

pytestmark = linux_only

AT_ONCE: Final = 16
ROUNDS: Final = 4
LEAST_CASES: Final = 200
MOST_GROWTH: Final = 8 * 2**20  # bytes, over the rounds after the first
PAGE: Final = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
LATE: Final = re.compile(
    r"redis\.away.*TimeoutError\(\)"
)  # on a busy machine 50 ms may not be enough for Redis
FAULT: Final = re.compile(r"Traceback|Exception|\berror\b|failed|Fatal", re.IGNORECASE)
SAID_OF_CLIENTS: Final = "WARNING uvicorn.error:"  # "Invalid HTTP request received." and the like


@pytest.fixture
def api(site: Site) -> Api:
    api = site.start_api(API_MAX_ORDERS_PER_MIN="0")
    eventually(lambda: httpx.get(f"{api.url}/readyz", timeout=30, trust_env=False, verify=False).is_success)
    return api


async def test_nothing_that_is_sent_does_any_harm(api: Api, show: Callable[[str], None]) -> None:
    async with client_of(api.url) as http:
        order_id = (await http.post("/api/orders", json=an_order())).json()["orderId"]
    cases = [case for kind in KINDS for case in load(kind, order_id)]
    judge = Judge(api.url, order_id)
    slow = [case for case in cases if case.is_slow]
    quick = [case for case in cases if not case.is_slow]

    faults = await _send(judge, cases, at_once=AT_ONCE + len(slow))
    sizes = [_memory(api)]
    for _ in range(ROUNDS - 1):
        faults += await _send(judge, quick, at_once=AT_ONCE)
        sizes.append(_memory(api))

    show(f"The hostile corpus: {_summary(cases)}, {ROUNDS} times; memory {_megabytes(sizes)}")
    assert len(cases) >= LEAST_CASES
    assert faults == []
    assert sizes[-1] - sizes[0] < MOST_GROWTH, sizes
    await _serves_as_before(api, order_id)
    eventually(lambda: _open_connections(api) == 0, within=20)
    with closing(socket.create_connection(api.door.getsockname())):
        eventually(lambda: _open_connections(api) == 1, within=20)
    complaints = [line for line in api.program.lines if FAULT.search(line)]
    assert [line for line in complaints if not (line.startswith(SAID_OF_CLIENTS) or LATE.search(line))] == []


def test_no_case_has_the_name_of_another() -> None:
    for kind in KINDS:
        names = Counter(case.name for case in load(kind, "…"))
        assert [name for name, number in names.items() if number > 1] == [], kind


async def _send(judge: Judge, cases: list[Case], *, at_once: int) -> list[str]:
    places = asyncio.Semaphore(at_once)

    async def send(case: Case) -> list[str]:
        async with places:
            return await judge.faults(case)

    # The slow ones first: the others go on beside them.
    in_order = sorted(cases, key=lambda case: not case.is_slow)
    return [fault for found in await asyncio.gather(*map(send, in_order)) for fault in found]


async def _serves_as_before(api: Api, order_id: str) -> None:
    assert api.program.process.poll() is None
    async with client_of(api.url) as http:
        assert (await health_with_redis(http))["status"] == "ok"
        new = await place(http, wallet="after-the-storm")
        assert (await http.get(f"/api/orders/{new}")).json()["wallet"] == "after-the-storm"
        assert (await http.get(f"/api/orders/{order_id}")).json()["status"] == "pending"
    address = api.url.replace("http", "ws", 1) + ENVELOPED.format(new)
    async with asyncio.timeout(10), connect(address, proxy=None) as stream:
        assert '"pending"' in str(await stream.recv())


def _memory(api: Api) -> int:
    """What the process has in memory, in bytes."""
    return int(Path(f"/proc/{api.program.pid}/statm").read_text().split()[1]) * PAGE


def _open_connections(api: Api) -> int:
    return connections_to(api.program.pid, api.door.getsockname()[1])


def _summary(cases: list[Case]) -> str:
    kinds = Counter(case.kind for case in cases)
    return f"{len(cases)} cases ({', '.join(f'{number} {kind}' for kind, number in kinds.items())})"


def _megabytes(sizes: list[int]) -> str:
    return " → ".join(f"{size / 2**20:.1f} MB" for size in sizes)

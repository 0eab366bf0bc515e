"""The floors: what this machine does, now, for the bare minimum of the same work. Each is measured once per run."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Final

import httpx
import psycopg
import uvloop

from app.processes.child import stop
from app.terminal.pacing import percentile
from bench import pgbench
from bench.figures import Floor
from bench.idle import hold_sockets
from bench.posting import Orders, closed_loop
from bench.site import STOP, Site, resident_kib, servers

CONNECTIONS: Final = 64
NOTICES: Final = 500
COMMITS: Final = 6  # of an order's way: accept, claim, choose, store the attempt, the chain's own, settle


class Floors:
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    @cached_property
    def intake(self) -> Floor:
        return Floor("intake's SQL in pgbench", self._postgres["intake"])

    @cached_property
    def round_trip(self) -> Floor:
        """Of an order, alone: an empty request, and the commits that its promises need; in ms."""
        one = self._empty["alone"] + COMMITS / self._postgres["commits over 1"]
        return Floor(f"empty request + {COMMITS} commits", one * 1000)

    @cached_property
    def handler(self) -> Floor:
        return Floor("empty handler", self._empty["per second"])

    @cached_property
    def handler_p50(self) -> Floor:
        return Floor("empty handler", self._empty["p50"] * 1000)

    @cached_property
    def handler_p99(self) -> Floor:
        return Floor("empty handler", self._empty["p99"] * 1000)

    @cached_property
    def notice(self) -> Floor:
        return Floor("NOTIFY to LISTEN, idle", self._postgres["notice"] * 1000)

    @cached_property
    def socket(self) -> Floor:
        return Floor("empty WebSocket handler", self._empty["socket"])

    @cached_property
    def process(self) -> Floor:
        return Floor("two empty Litestar processes", 2 * self._empty["rss"])

    @property
    def machine(self) -> dict[str, float]:
        """All that was measured, under its name."""
        measured = {**self.__dict__.get("_postgres", {}), **self.__dict__.get("_empty", {})}
        return {name: round(value, 6) for name, value in measured.items()}

    @cached_property
    def _postgres(self) -> dict[str, float]:
        with servers() as (url, _):
            return {
                "intake": pgbench.intake_per_second(url, self._seconds),
                "commits over 1": pgbench.commits_per_second(url, 1, self._seconds),
                "commits over 8": pgbench.commits_per_second(url, 8, self._seconds),
                "notice": asyncio.run(_notice_seconds(url)),
            }

    @cached_property
    def _empty(self) -> dict[str, float]:
        with _empty_server() as site:
            loaded = uvloop.run(closed_loop(site.port, CONNECTIONS, Orders(), seconds=self._seconds))
            alone = uvloop.run(closed_loop(site.port, 1, Orders(), number=300))
            [pid] = [process.pid for process in site.apis]
            rss = resident_kib(pid)
            return {
                "per second": loaded.per_second,
                "p50": percentile(loaded.latencies, 0.5),
                "p99": percentile(loaded.latencies, 0.99),
                "alone": percentile(alone.latencies, 0.5),
                "rss": rss / 1024,
                "socket": uvloop.run(_socket_kib(site.port, pid)),
            }


async def _socket_kib(port: int, pid: int) -> float:
    before = resident_kib(pid)
    sockets = await hold_sockets(port, ["x"] * 2000)
    after = resident_kib(pid)
    for watcher in sockets:
        watcher.close()
    return (after - before) / len(sockets)


async def _notice_seconds(url: str) -> float:
    """From the begin of a NOTIFY to its arrival on another connection, at the median."""
    took: list[float] = []
    async with (
        await psycopg.AsyncConnection.connect(url, autocommit=True) as hears,
        await psycopg.AsyncConnection.connect(url, autocommit=True) as says,
    ):
        await hears.execute("LISTEN bench")
        for _ in range(NOTICES):
            began = time.perf_counter()
            await says.execute("NOTIFY bench")
            async for _ in hears.notifies(stop_after=1):
                pass
            took.append(time.perf_counter() - began)
    return percentile(took, 0.5)


@contextmanager
def _empty_server() -> Iterator[Site]:
    site = Site("", "", {})
    process = site.spawn(sys.executable, "-m", "bench.empty_app", str(site.door.fileno()))
    site.apis.append(process)
    try:
        httpx.post(
            f"http://127.0.0.1:{site.port}/api/orders/execute", content=b"", timeout=30, trust_env=False
        )
        yield site
    finally:
        stop(process, STOP)
        site.door.close()

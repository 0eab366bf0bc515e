"""The measurements. Each starts servers and an engine of its own, and ends with the checker's word on its ledger."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Final, NamedTuple, TypeVar

import uvloop

from bench import ledger
from bench.figures import Figure, milliseconds
from bench.floors import CONNECTIONS, Floors
from bench.idle import hold_sockets
from bench.lag import lags
from bench.posting import STORE, Orders, Tally, closed_loop, open_loop, order_id_in
from bench.site import Site, engine, resident_kib, servers
from bench.watching import Gallery

WARM_UP: Final = 2.0  # seconds
BACKLOG: Final = 2000  # unfinished orders that still count as keeping up
WATCHED: Final = 20  # of the end-to-end load one order in so many is watched
ALONE: Final = 300  # orders, one at a time
IDLE: Final = 10_000
IDLE_RATE: Final = 100.0  # orders/s beside the idle WebSockets
PATIENCE: Final = 60.0

Answer = TypeVar("Answer")


class Plan(NamedTuple):
    """How long each load lasts, and how many processes carry it."""

    seconds: float
    apis: int
    workers: int


def accept(plan: Plan, floors: Floors) -> list[Figure]:
    with _loaded(plan._replace(workers=0)) as site:

        async def load() -> tuple[Tally, Tally]:
            warm = await closed_loop(site.port, CONNECTIONS, Orders(), seconds=WARM_UP)
            return warm, await closed_loop(site.port, CONNECTIONS, Orders(), seconds=plan.seconds)

        warm, tally = _quietly(load())
        tally.refuse_errors()
        ledger.must_hold(site.database_url, warm.accepted + tally.accepted)
    return [
        Figure("accepted", tally.per_second, floors.intake),
        Figure("accept_p50", milliseconds(tally.latencies, 0.5), floors.handler_p50),
        Figure("accept_p99", milliseconds(tally.latencies, 0.99), floors.handler_p99),
    ]


def accept_working(plan: Plan, floors: Floors) -> list[Figure]:
    """Connections rest while more than BACKLOG orders are unfinished: what is accepted is what is finished."""
    with _loaded(plan) as site:

        async def load(seconds: float) -> Tally:
            async with ledger.Backlog(site.database_url) as backlog:
                return await closed_loop(
                    site.port, CONNECTIONS, Orders(), seconds=seconds, has_room=lambda: backlog.open < BACKLOG
                )

        warm = _quietly(load(WARM_UP))
        tally = _quietly(load(plan.seconds))
        tally.refuse_errors()
        ledger.must_hold(site.database_url, warm.accepted + tally.accepted)
    return [Figure("accepted_working", tally.per_second, floors.intake)]


def end_to_end(plan: Plan, floors: Floors) -> list[Figure]:
    """As many orders as fast as they are accepted, until the last is confirmed; some of them watched."""
    with _loaded(plan) as site:

        async def load(number: int) -> tuple[float, int]:
            gallery, posted, most = Gallery(site.port), 0, 0

            def accepted(body: bytes) -> None:
                nonlocal posted
                posted += 1
                if posted % WATCHED == 0:
                    gallery.watch(order_id_in(body), perf_counter())

            async with ledger.Backlog(site.database_url) as backlog:
                began = perf_counter()
                tally = await closed_loop(site.port, CONNECTIONS, Orders(), number=number, accepted=accepted)
                tally.refuse_errors()
                backlog.open = 1
                while backlog.open:
                    most = max(most, sum(map(resident_kib, site.pids)))
                    await asyncio.sleep(0.01)
                took = perf_counter() - began
            await gallery.until_empty(PATIENCE)
            return number / took, most

        rate, _ = _quietly(load(3000))
        confirmed, kib = _quietly(load(int(max(2000, rate * plan.seconds))))
        ledger.must_have_all_events(site.database_url)
    return [
        Figure("confirmed", confirmed, floors.intake),
        Figure("rss", kib / 1024, floors.process),
    ]


def alone(plan: Plan, floors: Floors) -> list[Figure]:
    """One order at a time; its WebSocket is opened when its POST is answered."""
    with _loaded(plan) as site:

        async def load(number: int) -> list[float]:
            took: list[float] = []
            for _ in range(number):
                gallery, began = Gallery(site.port), perf_counter()
                await closed_loop(
                    site.port, 1, orders, number=1, accepted=lambda body, g=gallery, b=began: g.watch(order_id_in(body), b)  # type: ignore[misc]
                )  # fmt: skip
                await gallery.until_empty(PATIENCE)
                took += _waits(gallery)
            return took

        orders = Orders()
        _quietly(load(30))
        took = _quietly(load(ALONE))
    return [
        Figure("alone_p50", milliseconds(took, 0.5), floors.round_trip),
        Figure("alone_p99", milliseconds(took, 0.99), floors.round_trip),
    ]


def open_300(plan: Plan, floors: Floors) -> list[Figure]:
    with _loaded(plan) as site:
        gallery = _quietly(_open_load(site, 300, plan.seconds))
    return _open_figures("open300", gallery, floors)


def open_1000(plan: Plan, floors: Floors) -> list[Figure]:
    """At 1,000 orders/s, so 5,000 events/s, each order watched: also how long a commit takes to its watcher."""
    with _loaded(plan, track_commit_timestamp="on") as site:
        gallery = _quietly(_open_load(site, 1000, plan.seconds))
        late = lags(site.database_url, gallery.watchers)
    stream = Figure("stream_p99", milliseconds(late, 0.99), floors.notice)
    return [*_open_figures("open1000", gallery, floors), stream]


def idle(plan: Plan, floors: Floors) -> list[Figure]:
    """WebSockets of orders that nobody executes, and others beside them."""
    with _loaded(plan._replace(apis=1), track_commit_timestamp="on") as site:

        async def load() -> tuple[float, Gallery, int]:
            await _open_load(site, IDLE_RATE, WARM_UP)  # what the first requests allocate is no socket's
            stored: list[str] = []
            await closed_loop(
                site.port, CONNECTIONS, Orders(STORE), number=IDLE,
                accepted=lambda body: stored.append(order_id_in(body)),
            )  # fmt: skip
            before = resident_kib(site.apis[0].pid)
            sockets = await hold_sockets(site.port, stored)
            kib = (resident_kib(site.apis[0].pid) - before) / IDLE
            gallery = await _open_load(site, IDLE_RATE, plan.seconds)
            held = sum(len(watcher.seen) == 1 for watcher in sockets)
            for watcher in sockets:
                watcher.close()
            return kib, gallery, held

        kib, gallery, held = _quietly(load())
        late = lags(site.database_url, gallery.watchers)
    return [
        Figure("socket_kib", kib, floors.socket),
        Figure("idle_sockets", held),
        Figure("idle_p99", milliseconds(late, 0.99), floors.notice),
    ]


ROWS: Final[dict[str, Callable[[Plan, Floors], list[Figure]]]] = {
    "accept": accept,
    "working": accept_working,
    "e2e": end_to_end,
    "alone": alone,
    "open300": open_300,
    "open1000": open_1000,
    "idle": idle,
}


async def _open_load(site: Site, rate: float, seconds: float) -> Gallery:
    gallery = Gallery(site.port)
    tally = await open_loop(
        site.port, CONNECTIONS, Orders(), rate=rate, seconds=seconds,
        accepted=lambda body, due: gallery.watch(order_id_in(body), due),
    )  # fmt: skip
    tally.refuse_errors()
    await gallery.until_empty(PATIENCE)
    return gallery


def _open_figures(key: str, gallery: Gallery, floors: Floors) -> list[Figure]:
    took = _waits(gallery)
    return [
        Figure(f"{key}_p50", milliseconds(took, 0.5), floors.round_trip),
        Figure(f"{key}_p99", milliseconds(took, 0.99), floors.round_trip),
    ]


def _waits(gallery: Gallery) -> list[float]:
    return [watcher.ended - watcher.since for watcher in gallery.watchers if watcher.ended is not None]


@contextmanager
def _loaded(plan: Plan, **postgres_settings: str) -> Iterator[Site]:
    """An engine to load; afterwards all that it accepted must be finished, and its ledger in order."""
    with servers(**postgres_settings) as urls:
        with engine(urls, apis=plan.apis, workers=plan.workers) as site:
            yield site
            if plan.workers:
                ledger.until_settled(urls[0])
        ledger.check(urls[0], worked=plan.workers > 0)


def _quietly(load: Coroutine[Any, Any, Answer]) -> Answer:
    """Runs a load without the pauses of a garbage collection."""
    gc.collect()
    gc.disable()
    try:
        return uvloop.run(load)
    finally:
        gc.enable()

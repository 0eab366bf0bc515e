"""What an order costs: CPU of each kind of process per order, end to end and at a rate, with every order watched.

`python -m bench.cost --against OTHER_CHECKOUT --rounds 3` measures this checkout and another one by turns. On a machine
that others use, CPU per order says more than orders per second; it still grows when a neighbour fills the caches.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Final, TypeAlias

import click
import uvloop

from bench import ledger
from bench.figures import milliseconds
from bench.floors import CONNECTIONS
from bench.posting import Orders, closed_loop, open_loop, order_id_in
from bench.site import ROOT, Site, engine, servers
from bench.watching import Gallery

WARM_UP: Final = 1500  # orders
PATIENCE: Final = 60.0
Load: TypeAlias = Callable[[Site, int], str]

TICKS: Final = os.sysconf("SC_CLK_TCK")


@click.command()
@click.option(
    "--number", default=6000, show_default=True, help="Orders end to end, as fast as they are accepted."
)
@click.option("--rate", default=300, show_default=True, help="Orders a second, each watched.")
@click.option("--secs", default=6, show_default=True, help="How long at that rate.")
@click.option("--rounds", default=1, show_default=True, help="How often.")
@click.option(
    "--against",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Another checkout, by turns.",
)
def main(number: int, rate: int, secs: int, rounds: int, against: Path | None) -> None:
    """Measure the CPU that an order costs, in µs, by process."""
    for _ in range(rounds):
        if against is not None:
            _measure_there(against, number, rate, secs)
            click.echo("here:")
        with servers() as urls, engine(urls) as site:
            uvloop.run(closed_loop(site.port, CONNECTIONS, Orders(), number=WARM_UP))
            ledger.until_settled(urls[0])
            _report("end to end", number, site, _end_to_end)
            _report(f"at {rate}/s", rate * secs, site, lambda site, n: _at_a_rate(site, n, rate))


def _measure_there(checkout: Path, number: int, rate: int, secs: int) -> None:
    """With the other checkout's engine and this one's yardstick."""
    click.echo(f"{checkout.name}:")
    options = ["--number", str(number), "--rate", str(rate), "--secs", str(secs)]
    subprocess.run(
        [sys.executable, "-P", str(ROOT / "bench" / "cost.py"), *options],
        cwd=checkout, check=True, env={**os.environ, "PYTHONPATH": str(checkout)},
    )  # fmt: skip


def _report(name: str, number: int, site: Site, load: Load) -> None:
    before = _cpu(site)
    said = load(site, number)
    spent = _cpu(site) - before
    by_process = "  ".join(f"{kind} {_micros(ticks, number):,.0f}" for kind, ticks in sorted(spent.items()))
    click.echo(f"  {name}: {_micros(spent.total(), number):,.0f} µs an order ({by_process})  {said}")


def _micros(ticks: int, orders: int) -> float:
    return 1e6 * ticks / TICKS / orders


def _end_to_end(site: Site, number: int) -> str:
    async def load() -> float:
        began = perf_counter()
        async with ledger.Backlog(site.database_url) as backlog:
            await closed_loop(site.port, CONNECTIONS, Orders(), number=number)
            backlog.open = 1
            while backlog.open:
                await asyncio.sleep(0.01)
        return number / (perf_counter() - began)

    return f"{uvloop.run(load()):,.0f} /s"


def _at_a_rate(site: Site, number: int, rate: int) -> str:
    async def load() -> list[float]:
        gallery = Gallery(site.port)
        await open_loop(
            site.port, CONNECTIONS, Orders(), rate=rate, seconds=number / rate,
            accepted=lambda body, due: gallery.watch(order_id_in(body), due),
        )  # fmt: skip
        await gallery.until_empty(PATIENCE)
        return [watcher.ended - watcher.since for watcher in gallery.watchers if watcher.ended is not None]

    took = uvloop.run(load())
    return f"p50 {milliseconds(took, 0.5):,.1f} ms, p99 {milliseconds(took, 0.99):,.1f} ms"


def _cpu(site: Site) -> Counter[str]:
    """Ticks of CPU that each kind of process has had, of this one and all below it; Linux only."""
    spent: Counter[str] = Counter()
    kinds = {process.pid: "API" for process in site.apis} | {
        process.pid: "worker" for process in site.workers
    }
    for pid in _descendants(os.getpid()):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")
        except FileNotFoundError:  # it has ended meanwhile
            continue
        name = fields[0].partition("(")[2]
        ticks = sum(map(int, fields[2].split()[11:13]))
        spent[kinds.get(pid) or ("load" if pid == os.getpid() else name)] += ticks
    return spent


def _descendants(root: int) -> list[int]:
    found = [root]
    for pid in found:
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                found += map(int, children.read_text(encoding="ascii").split())
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


if __name__ == "__main__":
    main()

"""Whether age slows the engine: the same loads on an empty ledger and on a grown one, by turns, and beside a prune.

`python -m bench.growth --orders 1000000 --rounds 6 --secs 3 --plans FILE`
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final

import click
import uvloop

from app.processes.child import Stop, stop
from bench import ledger
from bench.floors import CONNECTIONS
from bench.idle import allow_open_files
from bench.plans import plans
from bench.posting import Orders, closed_loop
from bench.seeding import seed
from bench.site import COMMAND, READY_SECONDS, Site, engine, servers
from tests.support.servers import fresh_database

MUST: Final = 0.9
AT_ONCE: Final = Stop(signal.SIGKILL, 5)


@click.command()
@click.option("--orders", default=1_000_000, show_default=True, help="Finished orders of the grown ledger.")
@click.option("--rounds", default=6, show_default=True, help="How often both take their turn.")
@click.option("--secs", default=3.0, show_default=True, help="How long each turn lasts.")
@click.option(
    "--plans", "plans_file", type=click.Path(path_type=Path), help="Write the hot queries' plans here."
)
@click.option("--out", type=click.Path(path_type=Path), help="Also write the figures here, as JSON.")
def main(orders: int, rounds: int, secs: float, plans_file: Path | None, out: Path | None) -> None:
    """Compare an empty ledger with a grown one, and intake with intake beside a prune."""
    allow_open_files()
    with servers() as urls, fresh_database(urls[0], template="postgres") as grown:
        began = perf_counter()
        seed(grown, orders)
        click.echo(f"{orders} orders seeded in {perf_counter() - began:.0f} s", err=True)
        if plans_file is not None:
            plans_file.write_text(plans(grown), encoding="utf-8")
        figures = _by_turns(urls, grown, rounds, secs)
        figures |= _beside_prune((grown, urls[1]), rounds, secs)
        ledger.check(grown, worked=True)
    for name, value in figures.items():
        verdict = "" if "ratio" not in name else " (kept)" if value >= MUST else f" (MISSED: at least {MUST})"
        click.echo(f"{name}: {value:,.2f}{verdict}")
    if out is not None:
        out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _by_turns(urls: tuple[str, str], grown: str, rounds: int, secs: float) -> dict[str, float]:
    """Two engines that take turns in short windows, so that whatever else the machine does meets both alike."""
    with fresh_database(urls[0], template="postgres") as empty:
        both = (empty, urls[1]), (grown, urls[1])
        accepted = _compare("accepted", both, 0, lambda site: _accepted(site, secs), rounds)
        return accepted | _compare("confirmed", both, 1, lambda site: _confirmed(site, secs), rounds)


def _compare(
    name: str,
    both: tuple[tuple[str, str], tuple[str, str]],
    workers: int,
    rate: Callable[[Site], float],
    rounds: int,
) -> dict[str, float]:
    with engine(both[0], workers=workers) as young, engine(both[1], workers=workers) as old:
        if workers:
            for database_url, _ in both:
                ledger.until_settled(database_url)
        return _pairs(name, ("empty", "grown"), rounds, lambda: rate(young), lambda: rate(old))


def _pairs(
    name: str, sides: tuple[str, str], rounds: int, first: Callable[[], float], second: Callable[[], float]
) -> dict[str, float]:
    """The medians of both sides, and that of their ratios, round by round; who begins changes."""
    pairs: list[tuple[float, float]] = []
    for number in range(rounds):
        if number % 2 == 0:
            one = first()
            other = second()
        else:
            other = second()
            one = first()
        pairs.append((one, other))
        click.echo(f"  {name}: {sides[0]} {one:,.0f}/s, {sides[1]} {other:,.0f}/s", err=True)
    return {
        f"{name}/s, {sides[0]}": median(one for one, _ in pairs),
        f"{name}/s, {sides[1]}": median(other for _, other in pairs),
        f"{name} ratio, {sides[1]} to {sides[0]}": median(other / one for one, other in pairs),
    }


def _confirmed(site: Site, secs: float) -> float:
    """From the first POST to the last order's end."""
    began = perf_counter()
    tally = uvloop.run(closed_loop(site.port, CONNECTIONS, Orders(), seconds=secs))
    tally.refuse_errors()
    ledger.until_settled(site.database_url)
    return tally.accepted / (perf_counter() - began)


def _accepted(site: Site, secs: float) -> float:
    tally = uvloop.run(closed_loop(site.port, CONNECTIONS, Orders(), seconds=secs))
    tally.refuse_errors()
    return tally.per_second


def _beside_prune(urls: tuple[str, str], rounds: int, secs: float) -> dict[str, float]:
    def pruning() -> float:
        with _pruning(site):
            return _accepted(site, secs)

    before = _old_orders(urls[0])
    with engine(urls, workers=0) as site:
        figures = _pairs(
            "intake", ("alone", "beside a prune"), rounds, lambda: _accepted(site, secs), pruning
        )
    with engine(urls):
        ledger.until_settled(urls[0])
    return {**figures, "orders pruned meanwhile": before - _old_orders(urls[0])}


def _old_orders(url: str) -> int:
    return int(ledger.ask(url, "SELECT count(*) FROM orders WHERE id < uuidv7(interval '-90 days')")[0])


@contextmanager
def _pruning(site: Site) -> Iterator[None]:
    """A prune at work: that its start costs is not its fault."""
    oldest = _oldest_order(site.database_url)
    process = site.spawn(*COMMAND, "prune", "--older-than", "90d")
    try:
        deadline = perf_counter() + READY_SECONDS
        while _oldest_order(site.database_url) == oldest:
            if perf_counter() > deadline or process.poll() is not None:
                raise SystemExit("the prune deleted nothing; what it said stands above")
            time.sleep(0.05)
        yield
    finally:
        stop(process, AT_ONCE)


def _oldest_order(url: str) -> str:
    return str(ledger.ask(url, "SELECT id FROM orders ORDER BY id LIMIT 1")[0])


if __name__ == "__main__":
    main()

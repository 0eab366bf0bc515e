"""What the log costs: an order's five statements with its positions and its lock, and without, by turns.

`python -m bench.log_cost --rounds 60 --batches 5`
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import SimpleQueue
from statistics import median
from time import perf_counter
from typing import Any, Final, NamedTuple

import click
import psycopg
import uuid_utils.compat

from app.storage.queries import QUERIES
from bench.site import servers
from tests.support.servers import fresh_database

BATCH: Final = 64
WITHOUT: Final = """
    DROP TRIGGER order_events_enter_the_log ON order_events;
    DROP INDEX order_events_position;
    ALTER TABLE order_events ALTER position DROP DEFAULT, ALTER position DROP NOT NULL;
"""
STEPS: Final[tuple[dict[str, Any], ...]] = (
    {"source": "routing", "target": "building", "venue": "raydium", "fee_bps": 25, "quoted_out": 2},
    {"source": "building", "target": "submitted", "raw": "AAAA", "last_valid_height": 1, "min_out": 1},
    {"source": "submitted", "target": "confirmed", "outcome": "landed", "amount_out": 2},
)

Connection = psycopg.Connection[Any]
Ids = list[str]


class Took(NamedTuple):
    """Seconds of a turn: on the clock, and of the server's CPU."""

    clock: float
    cpu: float


@click.command()
@click.option("--rounds", default=60, show_default=True, help="How often both take their turn.")
@click.option("--batches", default=5, show_default=True, help=f"Of {BATCH} orders, in each turn.")
def main(rounds: int, batches: int) -> None:
    """Compare the ledger's statements with the log and without it."""
    with servers() as (url, _), ExitStack() as stack:
        variants = {"with": url, "without": stack.enter_context(fresh_database(url, template="postgres"))}
        with psycopg.connect(variants["without"], autocommit=True) as connection:
            connection.execute(WITHOUT)
        for lanes, turn in (("one lane", _one_lane), ("two lanes", _two_lanes)):
            took: dict[str, list[Took]] = {name: [] for name in variants}
            for _ in range(rounds):
                for name, place in variants.items():
                    took[name].append(turn(place, batches))
            for measure in Took._fields:
                typical = [median(getattr(t, measure) for t in took[name]) for name in variants]
                per_order = ", ".join(
                    f"{name} {seconds / batches / BATCH * 1e6:.1f}"
                    for name, seconds in zip(variants, typical, strict=True)
                )
                click.echo(
                    f"{lanes}, {measure}, µs per order: {per_order}; ratio {typical[0] / typical[1]:.3f}"
                )


def _one_lane(url: str, batches: int) -> Took:
    """The whole of so many batches, one statement after the other."""
    with _connected(url) as (connection, worker):
        began, cpu = perf_counter(), _cpu(connection)
        for _ in range(batches):
            _finish(connection, worker, _accept(connection))
        return Took(perf_counter() - began, _cpu(connection) - cpu)


def _two_lanes(url: str, batches: int) -> Took:
    """The same where one connection accepts and another one, beside it, does the rest."""
    accepted: SimpleQueue[Ids] = SimpleQueue()

    def accept(connection: Connection) -> None:
        for _ in range(batches):
            accepted.put(_accept(connection))

    with _connected(url) as (intake, _), _connected(url) as (connection, worker):
        thread = threading.Thread(target=accept, args=(intake,))
        began, cpu = perf_counter(), _cpu(intake) + _cpu(connection)
        thread.start()
        for _ in range(batches):
            _finish(connection, worker, accepted.get())
        thread.join()
        return Took(perf_counter() - began, _cpu(intake) + _cpu(connection) - cpu)


def _cpu(connection: Connection) -> float:
    """Seconds that the server's process of this connection has run."""
    return int(Path(f"/proc/{connection.info.backend_pid}/schedstat").read_text().split()[0]) / 1e9


@contextmanager
def _connected(url: str) -> Iterator[tuple[Connection, int]]:
    with psycopg.connect(url, autocommit=True, prepare_threshold=1) as connection:
        row = connection.execute(
            "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now()) RETURNING id"
        ).fetchone()
        assert row is not None
        yield connection, row[0]


def _accept(connection: Connection) -> Ids:
    ids = [str(uuid_utils.compat.uuid7()) for _ in range(BATCH)]
    orders = [
        {"id": id_, "account": "default", "idempotency_key": id_, "fingerprint": "ab" * 32, "type": "market",
         "token_in": "SOL", "token_out": "USDC", "amount_in": 1, "slippage_bps": 50, "queue": True} for id_ in ids
    ]  # fmt: skip
    _call(connection, "accept_orders", orders)
    return ids


def _finish(connection: Connection, worker: int, ids: Ids) -> None:
    _call(connection, "claim_orders", [{"id": id_, "worker": worker, "max_deaths": 5} for id_ in ids])
    for step in STEPS:
        signed = step["target"] == "submitted"
        moves = [
            {"id": id_, "fence": 1, "data": {"dex": "raydium", "attempt": 1}, **step}
            | ({"signature": secrets.token_hex(32)} if signed else {})
            for id_ in ids
        ]
        _call(connection, "move_orders", moves)


def _call(connection: Connection, function: str, items: list[dict[str, Any]]) -> None:
    found = psycopg.RawCursor(connection).execute(QUERIES[function], (json.dumps(items),)).fetchall()
    assert len(found) == len(items)


if __name__ == "__main__":
    main()

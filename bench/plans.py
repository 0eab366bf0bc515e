"""The plans of the hot queries on a grown ledger: EXPLAIN (ANALYZE, BUFFERS) of each, as Markdown.

Postgres does not explain what a function does inside. Its statements are taken from its source, and explained one by
one with its settings and its arguments; what they change is rolled back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import psycopg

from app.storage.queries import QUERIES, load_queries

BATCH: Final = 64
LARGE: Final = re.compile(
    r"Seq Scan on (?:orders|order_events|order_attempts|transactions|procrastinate_jobs)\b"
)
_TIME: Final = re.compile(r"Execution Time: ([\d.]+) ms")
_BUFFERS: Final = re.compile(r"Buffers: shared ([^\n]+)")
_STATEMENT: Final = re.compile(r"^\s*(?:RETURN QUERY\s+)?((?:WITH|SELECT|INSERT)\b.*)", re.DOTALL)
_INTO: Final = re.compile(r"\bINTO (v_\w+(, v_\w+)*|found_jobs)\b")


# A statement of a function finds undone what the one before it stored.
UNREFERENCED: Final = "session_replication_role=replica"


class Plan(NamedTuple):
    name: str
    text: str

    @property
    def line(self) -> str:
        """The plan in a row: its time, the buffers that its top node touched, the indexes, what is wrong."""
        time, buffers = _TIME.search(self.text), _BUFFERS.search(self.text)
        indexes = sorted(set(re.findall(r"using (\w+)|Index Scan on (\w+)", self.text)))
        used = ", ".join(f"`{one or other}`" for one, other in indexes)
        wrong = "**reads a whole table**" if LARGE.search(self.text) else ""
        return f"| {self.name} | {time[1] if time else ''} ms | {buffers[1] if buffers else ''} | {used} | {wrong} |"


def plans(url: str) -> str:
    """A table of all, and each in full."""
    with psycopg.connect(url) as connection:
        connection.autocommit = False
        found = [*_functions(connection), *_queries(connection)]
        connection.rollback()
    head = "| query | time | buffers | indexes | |\n|---|---|---|---|---|"
    full = "\n\n".join(f"### {plan.name}\n\n```\n{plan.text}\n```" for plan in found)
    return f"{head}\n" + "\n".join(plan.line for plan in found) + f"\n\n{full}\n"


def _functions(connection: psycopg.Connection[Any]) -> Iterator[Plan]:
    """An order's way, in a transaction that is rolled back."""
    orders = [
        {"id": str(id_), "account": "default", "idempotency_key": f"plan-{id_}", "fingerprint": "ab" * 32,
         "type": "market", "token_in": "SOL", "token_out": "USDC", "amount_in": 1, "slippage_bps": 50, "queue": True}
        for (id_,) in connection.execute("SELECT uuidv7() FROM generate_series(1, %s)", (BATCH,))
    ]  # fmt: skip
    ids = [str(order["id"]) for order in orders]
    claims = [{"id": id_, "worker": 1, "max_deaths": 5} for id_ in ids]
    moves = [
        {"id": id_, "fence": 1, "source": "routing", "target": "building", "data": {"dex": "raydium"},
         "venue": "raydium", "fee_bps": 25, "quoted_out": 1} for id_ in ids
    ]  # fmt: skip
    for function, parameter, items in (
        ("accept_orders", "p_orders", orders),
        ("claim_orders", "p_claims", claims),
        ("move_orders", "p_moves", moves),
    ):
        argument = json.dumps(items)
        yield from _inside(
            connection,
            function,
            {parameter: f"'{argument}'::json", "v_new": _ids(ids), "v_locked": _ids(ids)},
        )
        if function != "move_orders":
            connection.execute(f"SELECT * FROM {function}(%s::json)", (argument,))
    yield from _inside(
        connection,
        "procrastinate_fetch_job_v2",
        {"target_queue_names": "'{orders}'::varchar[]", "p_worker_id": "NULL"},
    )


def _inside(connection: psycopg.Connection[Any], function: str, values: dict[str, str]) -> Iterator[Plan]:
    row = connection.execute(
        "SELECT prosrc, proconfig FROM pg_proc WHERE proname = %s", (function,)
    ).fetchone()
    assert row is not None
    source, config = row
    body = re.sub(r"--[^\n]*", "", source[source.index("BEGIN") + 5 :])
    body = re.sub(r"\bIF\b[^;]*?\bTHEN\b", ";", body)
    number = 0
    for part in body.split(";"):
        if match := _STATEMENT.match(part):
            number += 1
            statement = _INTO.sub("", match[1])
            for name, value in values.items():
                statement = re.sub(rf"\b{name}\b", value.replace("\\", r"\\"), statement)
            yield _explained(
                connection, f"{function}, statement {number}", statement, [*(config or []), UNREFERENCED]
            )


def _ids(ids: list[str]) -> str:
    return f"'{{{','.join(ids)}}}'::uuid[]"


def _queries(connection: psycopg.Connection[Any]) -> Iterator[Plan]:
    old = [
        str(row[0]) for row in connection.execute("SELECT id FROM orders ORDER BY id LIMIT 256 OFFSET 1000")
    ]
    jobs = load_queries("app.jobs")
    columns = "SELECT * FROM orders WHERE account = 'default'"
    newest = "ORDER BY id DESC LIMIT 51"
    for name, statement in (
        ("find_order", QUERIES["find_order"].replace("%b", f"'{old[0]}'")),
        ("order_head", QUERIES["order_head"].replace("%b", f"'{old[0]}'")),
        ("events_after, 256 orders", QUERIES["events_after"].replace("%b::uuid[]", _ids(old)).replace(
            "%b::integer[]", "array_fill(0, ARRAY[256])")),
        ("list of all", f"{columns} {newest}"),
        ("list after a cursor", f"{columns} AND id < '{old[200]}' {newest}"),
        ("list of a wallet", f"{columns} AND wallet = 'wallet-40' {newest}"),
        ("list of a wallet, confirmed", f"{columns} AND wallet = 'wallet-40' AND status = 'confirmed' {newest}"),
        ("list of confirmed", f"{columns} AND status = 'confirmed' {newest}"),
        ("list of failed", f"{columns} AND status = 'failed' AND failure_code IS NOT NULL {newest}"),
        ("list of open", f"{columns} AND status = 'submitted' AND is_open {newest}"),
        *((name, _with_head(connection, QUERIES[name])) for name in OF_THE_LOG + OF_ACTIVITY),
        ("sweep: stalled_jobs", jobs["stalled_jobs"]),
        ("sweep: orders_without_job", jobs["orders_without_job"]),
        ("disown", jobs["disown"].replace("%t", "'{1,2}'::bigint[]")),
        ("prune_candidates", re.sub(r"%\((\w+)\)b", lambda m: PRUNING[m[1]], QUERIES["prune_candidates"])),
        ("prune_chain", QUERIES["prune_chain"].replace("%b", _ids(old[:100]))),
        ("prune_orders", QUERIES["prune_orders"].replace("%b", _ids(old[:100]))),
    ):  # fmt: skip
        yield _explained(connection, name, statement, ONE_BY_ONE if name in OF_ACTIVITY else [])


OF_THE_LOG: Final = ("log_ends", "log_after", "fills")
OF_ACTIVITY: Final = ("steps_by_second", "answers_by_second", "open_orders")
ONE_BY_ONE: Final = [
    "enable_seqscan=off",
    "enable_hashjoin=off",
    "enable_mergejoin=off",
]  # as in read_activity


def _with_head(connection: psycopg.Connection[Any], query: str) -> str:
    """The query for what a busy minute adds to the log, and for the fills of the last ten."""
    row = connection.execute(
        "SELECT max(position), uuidv7(interval '-70 minutes') FROM order_events"
    ).fetchone()
    assert row is not None
    head, first = row
    values = {
        "after": str(head - 20_000), "until": str(head), "limit": "500", "account": "'default'",
        "outages": "'{quote_timeout,venue_unavailable}'::text[]", "looked_at": "50000", "token_in": "'SOL'",
        "token_out": "'USDC'", "since": "now() - interval '10 minutes'", "first": f"'{first}'",
    }  # fmt: skip
    return re.sub(r"%\((\w+)\)b", lambda m: values[m[1]], query).replace("%b", "'default'")


PRUNING: Final = {
    "after": "'00000000-0000-0000-0000-000000000000'",
    "before": "uuidv7(interval '-90 days')",
    "cutoff": "now() - interval '90 days'",
    "batch": "100",
}


def _explained(connection: psycopg.Connection[Any], name: str, statement: str, config: list[str]) -> Plan:
    """What it would change is undone."""
    with connection.transaction(force_rollback=True):
        for setting in config:
            key, _, value = setting.partition("=")
            connection.execute("SELECT set_config(%s, %s, true)", (key, value))
        explain = f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) {statement}".replace("%", "%%")
        rows = connection.execute(explain, ()).fetchall()
    text = "\n".join(row[0] for row in rows)
    return Plan(name, re.sub(r"'\{[^}]{200,}\}'", "'{…}'", re.sub(r"'\[\{.{200,}?\}\]'", "'[…]'", text)))

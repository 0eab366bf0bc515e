"""The floors that Postgres sets: its commit rate, and the very SQL of intake, run by pgbench alone."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psycopg

from app.dev.programs import postgres_programs

BATCH: Final = 64  # the most that 64 connections can put into one batch of a lane
# One row, one commit.
COMMIT: Final = "INSERT INTO bench_commits (value) VALUES ('x');\n"
# The statements of `Intake._write` in its one transaction. The two selects in front stand for the engine: they make
# the new orders, and their time is not counted.
MAKING: Final = 2
INTAKE: Final = f"""\
SELECT json_agg(json_build_object('id', uuidv7(), 'account', 'default', 'idempotency_key', gen_random_uuid(), \
'fingerprint', repeat('ab', 32), 'type', 'market', 'token_in', 'SOL', 'token_out', 'USDC', 'amount_in', 1250000000, \
'slippage_bps', 50, 'wallet', NULL, 'queue', true))::text AS orders FROM generate_series(1, {BATCH}) \\gset
SELECT json_build_object('order_ids', json_agg(o ->> 'id'))::text AS args, string_agg((o ->> 'id') || ':1', ',') \
AS payload FROM json_array_elements(:orders::json) AS o \\gset
BEGIN;
SELECT requested_id, order_id, fingerprint FROM accept_orders(:orders::json);
SELECT procrastinate_defer_jobs_v1(ARRAY[ROW('orders', 'execute_orders', 0, NULL, NULL, :args::jsonb, NULL)]\
::procrastinate_job_to_defer_v1[]);
SELECT pg_notify('order_events', :payload);
COMMIT;
"""


def intake_per_second(url: str, seconds: float) -> float:
    """Orders/s that Postgres stores in full batches over one connection, as one lane does."""
    counted = _statements(_run(url, INTAKE, 1, seconds))[MAKING:]
    return BATCH / (sum(counted) / 1000)


def commits_per_second(url: str, clients: int, seconds: float) -> float:
    """Commits/s of one row each."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS bench_commits (id bigserial PRIMARY KEY, value text)")
    found = re.search(r"^tps = ([\d.]+)", _run(url, COMMIT, clients, seconds), re.MULTILINE)
    assert found is not None
    return float(found[1])


def _run(url: str, script: str, clients: int, seconds: float) -> str:
    parts = urlsplit(url)
    program = postgres_programs(Path(), None) / "pgbench"
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        done = subprocess.run(
            [program, "--no-vacuum", "--protocol=prepared", "--report-per-command", f"--client={clients}",
             f"--time={max(1, round(seconds))}", f"--file={file.name}", parts.path.removeprefix("/")],
            env={"PGHOST": parts.hostname or "", "PGPORT": str(parts.port), "PGUSER": parts.username or "",
                 "PGPASSWORD": parts.password or "", "LC_ALL": "C"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode or "tps = " not in done.stdout:
        raise SystemExit(f"pgbench failed: {done.stderr}{done.stdout}")
    return done.stdout


def _statements(report: str) -> list[float]:
    """The average milliseconds of each statement."""
    _, _, listed = report.partition("statement latencies in milliseconds")
    return [float(number) for number in re.findall(r"^\s+([\d.]+)\s+\d+\s", listed, re.MULTILINE)]

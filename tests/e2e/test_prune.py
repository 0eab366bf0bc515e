"""`order-engine prune` as an operator runs it."""

from __future__ import annotations

import psycopg
import pytest

from tests.e2e.programs import Launcher
from tests.support.processes import linux_only

pytestmark = linux_only


def test_prune_says_how_many_orders_it_deleted(launcher: Launcher, database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO orders (id, account, fingerprint, type, token_in, token_out, amount_in, slippage_bps, status,"
            " sequence, is_open, queued_at, failure_code, updated_at)"
            " SELECT lpad(n::text, 32, '0')::uuid, 'default', '', 'market', 'SOL', 'USDC', 1, 50, 'failed', 1, false,"
            "        now(), 'unknown_token', now() - interval '100 days' FROM generate_series(1, 3) AS n"
        )
    first, second = (
        launcher.call("prune", "--older-than", "90d", DATABASE_URL=database_url) for _ in range(2)
    )
    assert (first.returncode, first.stdout) == (0, "3 orders deleted.\n"), first.stderr
    assert (second.returncode, second.stdout) == (0, "0 orders deleted.\n"), second.stderr


@pytest.mark.parametrize("age", ["0d", "soon", "-5d"])
def test_prune_refuses_nonsense(launcher: Launcher, age: str) -> None:
    done = launcher.call("prune", "--older-than", age)
    assert done.returncode == 2
    assert "is not a duration" in done.stderr or "is out of range" in done.stderr


def test_prune_has_no_default(launcher: Launcher) -> None:
    done = launcher.call("prune")
    assert done.returncode == 2
    assert "--older-than" in done.stderr


def test_prune_without_a_database_says_so(launcher: Launcher) -> None:
    done = launcher.call("prune", "--older-than", "90d", DATABASE_URL="postgresql://x@127.0.0.1:1/none")
    assert done.returncode == 1
    assert "the database is not available" in done.stderr

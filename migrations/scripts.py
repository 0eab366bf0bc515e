"""What revisions are made of: SQL scripts of our own, and procrastinate's schema at the installed version."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import procrastinate
from alembic import op
from procrastinate.schema import SchemaManager

SQL = Path(__file__).parent / "sql"
UPGRADES = resources.files("procrastinate") / "sql" / "migrations"


def run_script(name: str) -> None:
    """Runs a file of `migrations/sql` as it stands."""
    _run((SQL / name).read_text("utf-8"))


def apply_procrastinate() -> None:
    """Brings procrastinate's schema to the installed version: all of it, or the upgrades since the last time.

    A revision that comes with a new procrastinate only has to call this.
    """
    upgrades = sorted(file.name for file in UPGRADES.iterdir() if file.name.endswith(".sql"))
    _run("CREATE TABLE IF NOT EXISTS procrastinate_upgrades (name text PRIMARY KEY, version text NOT NULL)")
    connection = op.get_bind().connection.driver_connection
    assert connection is not None
    applied = {name for (name,) in connection.execute("SELECT name FROM procrastinate_upgrades").fetchall()}
    if not applied:
        _run(SchemaManager.get_schema())
    for name in upgrades:
        if applied and name not in applied:
            _run((UPGRADES / name).read_text("utf-8"))
        connection.execute(
            "INSERT INTO procrastinate_upgrades VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (name, procrastinate.__version__),
        )


def _run(sql: str) -> None:
    connection = op.get_bind().connection.driver_connection
    assert connection is not None
    # Past SQLAlchemy: in a script, a colon or a per cent sign is only itself.
    connection.execute(sql)

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import procrastinate
import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations

from app.errors import SettingsError
from app.orders.lifecycle import TRANSITIONS, Status, Transition
from app.storage import migrations
from app.storage.migrations import VERSION_TABLE, migrate, write_lifecycle
from app.storage.models import Base, OutcomeType
from app.storage.revision import REVISION
from app.storage.sessions import sqlalchemy_url
from migrations import scripts
from tests.support.servers import Servers, fresh_database

ROOT = Path(scripts.__file__).parents[1]


@contextmanager
def opened(url: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(sqlalchemy_url(url))
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def differences(connection: sa.Connection) -> list[str]:
    """How our tables differ from the models, in columns, types and nullability. Indexes are the schema's own affair."""
    ours = set(Base.metadata.tables)
    options = {"include_name": lambda name, kind, _parents: kind != "table" or name in ours}
    context = MigrationContext.configure(connection, opts=options)
    found: list[Any] = []
    for difference in compare_metadata(context, Base.metadata):
        found += difference if isinstance(difference, list) else [difference]
    return [str(each) for each in found if not each[0].endswith(("_index", "_constraint", "_fk"))]


def test_the_models_match_the_migrated_schema(shared_database_url: str) -> None:
    with opened(shared_database_url) as connection:
        assert differences(connection) == []


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE orders ALTER amount_in TYPE numeric(30, 0)",
        "ALTER TABLE orders ALTER fence TYPE bigint",
        "ALTER TABLE orders ALTER wallet SET NOT NULL",
        "ALTER TABLE order_attempts ALTER raw DROP NOT NULL",
        "ALTER TABLE order_events ADD extra text",
        "ALTER TABLE orders DROP funds_moved",
        "DROP TABLE order_attempts",
    ],
)
def test_a_schema_that_strays_from_the_models_is_found_out(shared_database_url: str, change: str) -> None:
    with opened(shared_database_url) as connection:
        connection.execute(sa.text(change))
        assert differences(connection)
        connection.rollback()


def test_the_enums_have_the_values_of_the_code(shared_database_url: str) -> None:
    with psycopg.connect(shared_database_url) as connection:
        [statuses] = connection.execute("SELECT enum_range(NULL::order_status)::text[]").fetchall()
        [outcomes] = connection.execute("SELECT enum_range(NULL::attempt_outcome)::text[]").fetchall()

    assert set(statuses[0]) == {status.value for status in Status}
    assert outcomes[0] == OutcomeType.enums


def test_migrating_again_changes_nothing(shared_database_url: str) -> None:
    with psycopg.connect(shared_database_url) as connection:
        before = _catalogue(connection)
    migrate(shared_database_url)
    with psycopg.connect(shared_database_url) as connection:
        assert _catalogue(connection) == before
        assert connection.execute(f"SELECT * FROM {VERSION_TABLE}").fetchall() == [(REVISION,)]


async def test_four_processes_may_migrate_at_once(server_urls: Servers) -> None:
    with fresh_database(server_urls.database_url) as url:
        processes = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-c", f"from app.storage.migrations import migrate; migrate({url!r})", cwd=ROOT
            )
            for _ in range(4)
        ]  # fmt: skip
        async with asyncio.timeout(200):
            assert [await process.wait() for process in processes] == [0] * 4
        with psycopg.connect(url) as connection:
            assert connection.execute(f"SELECT * FROM {VERSION_TABLE}").fetchall() == [(REVISION,)]
            assert connection.execute("SELECT count(*) FROM order_transitions").fetchall() == [
                (len(TRANSITIONS),)
            ]


def _catalogue(connection: psycopg.Connection[Any]) -> list[Any]:
    """Everything there is in the schema, and the reference tables."""
    return connection.execute(
        "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'"
        " UNION ALL SELECT proname, md5(prosrc), '' FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        " UNION ALL SELECT source::text, target::text, description FROM order_transitions"
        " UNION ALL SELECT name, version, '' FROM procrastinate_upgrades ORDER BY 1, 2, 3"
    ).fetchall()


def test_every_upgrade_of_the_installed_procrastinate_is_noted(shared_database_url: str) -> None:
    shipped = {file.name for file in scripts.UPGRADES.iterdir() if file.name.endswith(".sql")}
    with psycopg.connect(shared_database_url) as connection:
        noted = connection.execute("SELECT name, version FROM procrastinate_upgrades").fetchall()

    assert len(shipped) > 30
    assert dict(noted) == dict.fromkeys(shipped, procrastinate.__version__)


def test_a_newer_procrastinate_brings_the_upgrades_that_are_not_noted_and_only_those(
    shared_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in scripts.UPGRADES.iterdir():
        if file.name.endswith(".sql"):
            (tmp_path / file.name).write_text("SELECT 'was applied long ago' / 0", "utf-8")
    (tmp_path / "99.01.00_50_post.sql").write_text(
        "INSERT INTO upgraded VALUES ('100 % second: %s')", "utf-8"
    )
    (tmp_path / "99.01.00_01_pre.sql").write_text("CREATE TABLE upgraded (step text)", "utf-8")
    monkeypatch.setattr(scripts, "UPGRADES", tmp_path)
    with opened(shared_database_url) as connection:
        with Operations.context(MigrationContext.configure(connection)):
            scripts.apply_procrastinate()
            scripts.apply_procrastinate()
        steps = connection.execute(sa.text("SELECT step FROM upgraded")).scalars().all()
        noted = connection.execute(
            sa.text("SELECT name FROM procrastinate_upgrades WHERE name >= '99' ORDER BY 1")
        )
        assert steps == ["100 % second: %s"]
        assert noted.scalars().all() == ["99.01.00_01_pre.sql", "99.01.00_50_post.sql"]
        connection.rollback()


def test_the_reference_table_follows_the_lifecycle(
    shared_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = (
        *(t._replace(when="for another reason") for t in TRANSITIONS[1:]),
        Transition(Status.RETRYING, Status.CONFIRMED, "it landed after all"),
    )
    monkeypatch.setattr(migrations, "TRANSITIONS", changed)
    with psycopg.connect(shared_database_url) as connection:
        write_lifecycle(connection)
        rows = connection.execute("SELECT source, target, description FROM order_transitions").fetchall()
        connection.rollback()

    assert set(rows) == {(t.source.value, t.target.value, t.when) for t in changed}


def test_a_transition_that_orders_went_cannot_disappear(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "TRANSITIONS", TRANSITIONS[1:])
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO orders (id, account, fingerprint, type, token_in, token_out, amount_in, slippage_bps, status,"
            " sequence) VALUES (gen_random_uuid(), 'default', '', 'market', 'SOL', 'USDC', 1, 50, 'routing', 2)"
        )
        connection.execute(
            "INSERT INTO order_events (order_id, sequence, previous, status) SELECT id, 2, 'pending', 'routing' FROM orders"
        )
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            write_lifecycle(connection)


@pytest.mark.parametrize("url", ["mysql://localhost/x", "localhost", "", "postgresql:/x"])
def test_another_kind_of_address_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL"):
        migrate(url)

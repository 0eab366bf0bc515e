"""Bringing a database to the schema of this version; safe to run by several processes at once, and again."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import psycopg
import sqlalchemy.exc
from advanced_alchemy.alembic.commands import AlembicCommands
from advanced_alchemy.config import AlembicSyncConfig, SQLAlchemySyncConfig
from psycopg.rows import TupleRow

from app.errors import StorageUnavailable
from app.orders.lifecycle import TRANSITIONS
from app.storage.sessions import sqlalchemy_url

SCRIPTS: Final = Path(__file__).resolve().parents[2] / "migrations"
VERSION_TABLE: Final = "order_engine_version"


def migrate(url: str) -> None:
    """Upgrades the database behind this URL to the newest revision. Raises StorageUnavailable."""
    config = _config(url)
    try:
        AlembicCommands(config).upgrade()
    except sqlalchemy.exc.OperationalError as error:
        raise StorageUnavailable(f"the database cannot be migrated: {error.orig}") from error
    finally:
        config.get_engine().dispose()


def write_lifecycle(connection: psycopg.Connection[TupleRow]) -> None:
    """Makes the database's reference table equal to the lifecycle; a transition in use cannot disappear."""
    rows = [(t.source, t.target, t.when) for t in TRANSITIONS]
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO order_transitions (source, target, description) VALUES (%s, %s, %s)"
            " ON CONFLICT (source, target) DO UPDATE SET description = excluded.description",
            rows,
        )
        cursor.execute(
            "DELETE FROM order_transitions WHERE (source::text || '>' || target::text) <> ALL (%s)",
            ([f"{source}>{target}" for source, target, _ in rows],),
        )


def _config(url: str) -> SQLAlchemySyncConfig:
    alembic = AlembicSyncConfig(script_location=str(SCRIPTS), version_table_name=VERSION_TABLE)
    return SQLAlchemySyncConfig(connection_string=sqlalchemy_url(url), alembic_config=alembic)

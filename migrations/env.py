"""Alembic's environment: one transaction under a lock, so that processes that start together do not collide."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import psycopg
import sqlalchemy as sa
from alembic import context

from app.storage.migrations import write_lifecycle
from app.storage.models import Base

if TYPE_CHECKING:
    from advanced_alchemy.alembic.commands import AlembicCommandConfig
    from psycopg.rows import TupleRow

LOCK = 0x6F72646572  # "order"

config = cast("AlembicCommandConfig", context.config)
engine = config.engine
assert isinstance(engine, sa.Engine)

with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        version_table=config.version_table_name,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
        context.run_migrations()
        driver = connection.connection.driver_connection
        write_lifecycle(cast("psycopg.Connection[TupleRow]", driver))

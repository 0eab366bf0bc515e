"""SQLAlchemy's way to the database: for migrations and list reads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import sqlalchemy.exc
from advanced_alchemy.config import AsyncSessionConfig, EngineConfig, SQLAlchemyAsyncConfig
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import SettingsError
from app.storage.database import CHECKOUT_SECONDS, NETWORK, POOL_SIZE, SERVER

SESSION_AWAY: Final = (
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.InterfaceError,
    sqlalchemy.exc.TimeoutError,
)
_SCHEMES: Final = ("postgresql", "postgres")


def sqlalchemy_url(url: str) -> str:
    """The same database for SQLAlchemy's psycopg driver."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise SettingsError("DATABASE_URL must start with postgresql:// or postgres://")
    return f"postgresql+psycopg://{rest}"


@asynccontextmanager
async def open_sessions(url: str) -> AsyncIterator[Callable[[], AsyncSession]]:
    """SQLAlchemy sessions for list reads, on a small pool of their own."""
    config = SQLAlchemyAsyncConfig(
        connection_string=sqlalchemy_url(url),
        engine_config=EngineConfig(
            pool_size=2,
            max_overflow=POOL_SIZE - 2,
            pool_timeout=CHECKOUT_SECONDS,
            pool_pre_ping=True,
            isolation_level="AUTOCOMMIT",
            connect_args={"application_name": "order-engine lists", "options": SERVER, **NETWORK},
        ),
        session_config=AsyncSessionConfig(expire_on_commit=False),
    )
    try:
        yield config.create_session_maker()
    finally:
        await config.get_engine().dispose()

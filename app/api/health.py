"""Whether the engine lives, is ready, and what it can reach."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Literal

import msgspec
from litestar import Request, get

from app.api.answers import JsonAnswer
from app.api.schemas import Alive, Health, Readiness
from app.api.state import state_of
from app.errors import StorageUnavailable
from app.storage.reader import OrderReader
from app.storage.redis_guard import RedisAway, RedisGuard
from app.storage.revision import REVISION

PING_SECONDS: Final = 2.0

Connection = Literal["connected", "disconnected"]


@get("/livez", name="livez")
async def livez() -> JsonAnswer:
    return _json(Alive())


@get("/health", name="health")
async def health(request: Request[Any, Any, Any]) -> JsonAnswer:
    state = state_of(request)
    database, redis = await asyncio.gather(_database(state.parts.reader), _redis(state.redis_guard))
    if database == "disconnected":
        return _json(Health("unavailable", ok=False, database=database, redis=redis), 503)
    status: Literal["ok", "degraded"] = "ok" if redis == "connected" else "degraded"
    return _json(Health(status, ok=True, database=database, redis=redis))


@get("/readyz", name="readyz")
async def readyz(request: Request[Any, Any, Any]) -> JsonAnswer:
    reason = await _unready(state_of(request).parts.reader)
    if reason is None:
        return _json(Readiness(ready=True, reasons=[]))
    return _json(Readiness(ready=False, reasons=[reason]), 503)


async def _unready(reader: OrderReader) -> str | None:
    try:
        async with asyncio.timeout(PING_SECONDS):
            revision = await reader.revision()
    except (StorageUnavailable, TimeoutError):
        return "the database cannot be reached"
    if revision != REVISION:
        found = "was never migrated" if revision is None else f"is at revision {revision}"
        return f"the database {found}, this version needs {REVISION}; run `order-engine migrate`"
    return None


async def _database(reader: OrderReader) -> Connection:
    try:
        async with asyncio.timeout(PING_SECONDS):
            await reader.revision()
    except (StorageUnavailable, TimeoutError):
        return "disconnected"
    return "connected"


async def _redis(guard: RedisGuard) -> Connection:
    try:
        await guard.ping()
    except RedisAway:
        return "disconnected"
    return "connected"


def _json(answer: msgspec.Struct, status: int = 200) -> JsonAnswer:
    return JsonAnswer(answer, status, {"Cache-Control": "no-store"})


health_handlers: Final = [livez, health, readyz]

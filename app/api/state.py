"""What the handlers work with: the parts, and what the API makes of them; lives as long as the app does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from litestar import Litestar
from litestar.connection import ASGIConnection

from app.api.desk import OrderDesk
from app.api.idempotency import RepeatMemory
from app.api.parts import ApiParts
from app.api.pulse import Pulse
from app.execution.limits import WINDOW, OrderLimit
from app.settings import Settings
from app.storage.redis_guard import RedisGuard
from app.storage.tally import Tally

OpenParts: TypeAlias = Callable[[Settings], AbstractAsyncContextManager[ApiParts]]

_KEY: Final = "api"


@dataclass(frozen=True, slots=True)
class ApiState:
    parts: ApiParts
    desk: OrderDesk
    redis_guard: RedisGuard
    pulse: Pulse
    stopping: asyncio.Event  # set when the server stops: answers without an end have to end then


@asynccontextmanager
async def open_state(app: Litestar, settings: Settings, open_parts: OpenParts) -> AsyncIterator[None]:
    """Opens the parts when the app starts, and closes them when it stops."""
    async with open_parts(settings) as parts, RedisGuard(parts.redis) as guard, AsyncExitStack() as stack:
        tally = (
            await stack.enter_async_context(Tally(parts.redis, guard, window=WINDOW)) if parts.redis else None
        )
        limit = OrderLimit(settings.api_max_orders_per_min, tally)
        memory = RepeatMemory(tally, settings.database_url)
        desk, pulse = OrderDesk(parts, limit, memory), Pulse(parts.activity, parts.venues)
        app.state[_KEY] = ApiState(parts, desk, guard, pulse, asyncio.Event())
        yield


def end_streams(app: Litestar) -> None:
    """Ends the answers that have no end; called when the server stops, whether it had come to open its parts or not."""
    state: ApiState | None = app.state.get(_KEY)
    if state is not None:
        state.stopping.set()


def state_of(connection: ASGIConnection[Any, Any, Any, Any]) -> ApiState:
    state: ApiState = connection.app.state[_KEY]
    return state

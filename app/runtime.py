"""The composition root: opens pools, lanes, venues and queue, hands them out, and closes them in order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final
from uuid import UUID

from redis.asyncio import Redis

from app.errors import SettingsError
from app.settings import Settings
from app.storage.database import Database, conninfo

if TYPE_CHECKING:
    from app.api.parts import ApiParts
    from app.execution.intake import Accepted
    from app.jobs.worker import Worker

REDIS_SECONDS: Final = 1.0


@asynccontextmanager
async def open_api(settings: Settings) -> AsyncIterator[ApiParts]:
    """What an API process is made of. Raises SettingsError."""
    from app.api.parts import ApiParts
    from app.execution.intake import Intake
    from app.jobs.app import enqueue
    from app.storage.activity import ActivityReader
    from app.storage.log import LogReader
    from app.storage.reader import OrderReader
    from app.storage.sessions import open_sessions
    from app.stream.active_orders import ActiveOrders
    from app.stream.hub import Hub
    from app.stream.log import LogFeed
    from app.venues.simulated.prices import simulated_prices
    from app.venues.simulated.venue import open_simulated_venues

    url = require(settings.database_url, "DATABASE_URL")
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(conninfo(url, "api")))
        sessions = await stack.enter_async_context(open_sessions(url))
        reader = OrderReader(database, sessions)
        redis = await stack.enter_async_context(open_redis(settings))
        log = await stack.enter_async_context(LogFeed(LogReader(database)))
        venues = await stack.enter_async_context(
            open_simulated_venues(settings, conninfo(url, "quotes", plans_once=True))
        )
        yield ApiParts(
            settings=settings,
            intake=await stack.enter_async_context(
                Intake(conninfo(url, "intake", plans_once=True), database, enqueue)
            ),
            reader=reader,
            hub=await stack.enter_async_context(Hub(conninfo(url, "hub"), reader, on_moved=log.look)),
            redis=redis,
            active_orders=await stack.enter_async_context(ActiveOrders(redis)) if redis else None,
            log=log,
            activity=ActivityReader(database),
            venues=venues.all,
            prices=simulated_prices(settings),
        )


@asynccontextmanager
async def open_worker(settings: Settings) -> AsyncIterator[Worker]:
    """A worker with its engine and venues, not running yet. Raises SettingsError."""
    from app.execution.engine import Engine
    from app.execution.limits import WINDOW, StartLimit
    from app.jobs.worker import Worker
    from app.storage.ledger import Ledger
    from app.storage.redis_guard import RedisGuard
    from app.storage.tally import Tally
    from app.stream.active_orders import ActiveOrders
    from app.venues.simulated.venue import open_simulated_venues

    url = require(settings.database_url, "DATABASE_URL")
    async with AsyncExitStack() as stack:
        # Jobs are hints: one that a crash of the server brings back, or loses, is looked at again by the sweep.
        database = await stack.enter_async_context(
            Database(conninfo(url, "worker", is_durable=False, plans_once=True))
        )
        ledger = await stack.enter_async_context(Ledger(conninfo(url, "ledger", plans_once=True)))
        # What the simulated chain has received may be lost in a crash of the server: the same bytes are sent again then.
        # What it has landed is not.
        chain = conninfo(url, "venues", is_durable=False, plans_once=True)
        venues = await stack.enter_async_context(open_simulated_venues(settings, chain))
        redis = await stack.enter_async_context(open_redis(settings))
        active_orders = await stack.enter_async_context(ActiveOrders(redis)) if redis else None
        guard = await stack.enter_async_context(RedisGuard(redis))
        tally = await stack.enter_async_context(Tally(redis, guard, window=WINDOW)) if redis else None
        starts = StartLimit(settings.queue_max_per_min, tally)
        engine = Engine(
            ledger,
            venues.all,
            max_attempts=settings.max_attempts,
            concurrency=settings.worker_concurrency,
            publish=active_orders.put if active_orders else lambda _event: None,
            admit=starts.wait,
            choose=venues.choose,
        )
        yield Worker(engine, database, settings.worker_concurrency)


async def requeue_order(settings: Settings, order_id: UUID) -> Accepted:
    """The order that takes a poisoned one's place. Raises SettingsError, and what `requeue` raises."""
    from app.execution.intake import Intake
    from app.execution.requeue import requeue
    from app.jobs.app import enqueue
    from app.storage.reader import OrderReader
    from app.storage.sessions import open_sessions

    url = require(settings.database_url, "DATABASE_URL")
    async with (
        Database(conninfo(url, "requeue")) as database,
        open_sessions(url) as sessions,
        Intake(conninfo(url, "intake", plans_once=True), database, enqueue) as intake,
    ):
        return await requeue(order_id, OrderReader(database, sessions), intake)


@asynccontextmanager
async def open_redis(settings: Settings) -> AsyncIterator[Redis | None]:
    """A Redis client, or None when none is configured: nothing that matters depends on it."""
    if not settings.redis_url:
        yield None
        return
    async with Redis.from_url(
        settings.redis_url, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS
    ) as redis:
        yield redis


def require(value: str, variable: str) -> str:
    """The setting's value. Raises SettingsError when it is not set."""
    if not value:
        raise SettingsError(f"{variable} is not set; `order-engine run` starts servers of its own instead")
    return value

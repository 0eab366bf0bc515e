"""What the API is built from; opened and closed by `runtime.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from redis.asyncio import Redis

from app.execution.intake import Intake
from app.settings import Settings
from app.storage.activity import ActivityReader
from app.storage.reader import OrderReader
from app.stream.active_orders import ActiveOrders
from app.stream.hub import Hub
from app.stream.log import LogFeed
from app.venues.port import PriceHistory, Venue


@dataclass(frozen=True, slots=True)
class ApiParts:
    settings: Settings
    intake: Intake
    reader: OrderReader
    hub: Hub
    redis: Redis | None  # None: limits and repeats are handled in this process alone
    active_orders: ActiveOrders | None
    log: LogFeed
    activity: ActivityReader
    venues: Sequence[Venue]  # for quotes alone
    prices: PriceHistory

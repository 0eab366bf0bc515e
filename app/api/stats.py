"""GET /api/stats: the pulse of the account's orders, in numbers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, get
from msgspec import Meta

from app.api.answers import JsonAnswer
from app.api.pulse import WINDOW, Reading
from app.api.state import state_of
from app.api.times import iso
from app.execution.intake import DEFAULT_ACCOUNT


class Latency(msgspec.Struct, frozen=True):
    """From the POST to the confirmation; null when nothing was confirmed."""

    p50_ms: Annotated[int | None, Meta()] = msgspec.field(name="p50Ms")
    p99_ms: Annotated[int | None, Meta()] = msgspec.field(name="p99Ms")


class QueueState(msgspec.Struct, frozen=True, rename="camel"):
    """Orders that are queued and not begun; the age of the oldest, null when there is none."""

    pending: int
    oldest_seconds: float | None


class SecondView(msgspec.Struct, frozen=True):
    ts: str
    accepted: int
    confirmed: int
    failed: int


class VenueHealth(msgspec.Struct, frozen=True):
    """`up` and `down` as in the last second in which the venue was asked, `idle` when it was not."""

    dex: str
    status: Literal["up", "down", "idle"]
    quotes: int
    unavailable: Annotated[int, Meta(description="How often the venue gave no quote and might have.")]


class Stats(msgspec.Struct, frozen=True, rename="camel"):
    """What the account's orders did in the last seconds, and where the others stand."""

    as_of: Annotated[int, Meta(description="The position of the log that the numbers are of.")]
    ts: str
    window_seconds: int
    accepted: int
    confirmed: int
    failed: int
    orders_per_second: Annotated[float, Meta(description="Accepted in the window, per second.")]
    success_rate: Annotated[float | None, Meta(description="Of those that ended; null when none did.")]
    latency: Latency
    queue: QueueState
    in_flight: Annotated[int, Meta(description="Orders that are begun and not ended.")]
    per_second: Annotated[list[SecondView], Meta(description="Oldest first; the last one is not over yet.")]
    venues: list[VenueHealth]


@get("/api/stats", name="getStats")
async def get_stats(request: Request[Any, Any, Any]) -> JsonAnswer:
    pulse = state_of(request).pulse
    reading = await pulse.of(DEFAULT_ACCOUNT)
    return JsonAnswer(_stats(reading, pulse.venues), headers={"Cache-Control": "no-store"})


def _stats(reading: Reading, venues: tuple[str, ...]) -> Stats:
    seconds = [second for _, second in reading.seconds]
    accepted = sum(second.accepted for second in seconds)
    confirmed = sum(second.confirmed for second in seconds)
    ended = confirmed + sum(second.failed for second in seconds)
    oldest = reading.open.oldest_seconds
    return Stats(
        as_of=reading.as_of,
        ts=iso(reading.at),
        window_seconds=WINDOW,
        accepted=accepted,
        confirmed=confirmed,
        failed=ended - confirmed,
        orders_per_second=round(accepted / WINDOW, 3),
        success_rate=round(confirmed / ended, 4) if ended else None,
        latency=Latency(reading.percentile(0.5), reading.percentile(0.99)),
        queue=QueueState(reading.open.queued, None if oldest is None else round(max(0.0, oldest), 3)),
        in_flight=reading.open.under_way,
        per_second=[
            SecondView(iso(at), second.accepted, second.confirmed, second.failed)
            for at, second in reading.seconds
        ],
        venues=[_health(reading, venue) for venue in venues],
    )


def _health(reading: Reading, venue: str) -> VenueHealth:
    answers = [second.venues[venue] for _, second in reading.seconds if venue in second.venues]
    if not answers:
        return VenueHealth(venue, "idle", 0, 0)
    quotes, refusals = (sum(column) for column in zip(*answers, strict=True))
    return VenueHealth(venue, "up" if answers[-1][0] else "down", quotes, refusals)

"""The engine's pulse as the API tells it, and as lines of text."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from math import inf
from typing import Final, Literal

import msgspec
from rich.text import Text

from app.terminal.render import printable

BARS: Final = "▁▂▃▄▅▆▇█"
MARKS: Final = {"up": ("●", "green"), "down": ("✕", "bold red"), "idle": ("○", "dim")}
# Below so many seconds a time is told in this unit, of so many seconds.
SPANS: Final = ((10, 1, "s"), (120, 1, "s"), (7_200, 60, "min"), (172_800, 3_600, "h"), (inf, 86_400, "d"))
# Of a row of figures, with their widths; 79 together.
COLUMNS: Final = {
    "time": 8, "orders/s": 8, "confirmed": 9, "p50": 9, "p99": 9, "in flight": 9, "pending": 7, "oldest": 6, "failed": 6
}  # fmt: skip


class Latency(msgspec.Struct, frozen=True, rename="camel"):
    """From POST to confirmed, in milliseconds; None: no order was confirmed."""

    p50_ms: float | None
    p99_ms: float | None


class Queue(msgspec.Struct, frozen=True, rename="camel"):
    pending: int
    oldest_seconds: float | None


class Second(msgspec.Struct, frozen=True):
    accepted: int
    confirmed: int
    failed: int


class VenueHealth(msgspec.Struct, frozen=True):
    dex: str
    status: Literal["up", "down", "idle"]
    quotes: int
    unavailable: int


class Pulse(msgspec.Struct, frozen=True, rename="camel"):
    """What `GET /api/stats` says: counts of the last `window_seconds`, and what is under way now."""

    ts: dt.datetime
    window_seconds: int
    accepted: int
    confirmed: int
    failed: int
    orders_per_second: float
    success_rate: float | None
    latency: Latency
    queue: Queue
    in_flight: int
    per_second: Sequence[Second]
    venues: Sequence[VenueHealth]


_PULSE: Final = msgspec.json.Decoder(Pulse)


def read_pulse(body: bytes) -> Pulse:
    """Raises msgspec.DecodeError when this is no pulse."""
    return _PULSE.decode(body)


def pulse_lines(pulse: Pulse, width: int) -> list[Text]:
    """The figures, in so many columns."""
    return [
        _figures(pulse),
        _queue(pulse),
        _sparkline("accepted", [second.accepted for second in pulse.per_second], width, "cyan"),
        _sparkline("confirmed", [second.confirmed for second in pulse.per_second], width, "green"),
        _venues(pulse),
    ]


def _figures(pulse: Pulse) -> Text:
    return Text.assemble(
        (f"{pulse.orders_per_second:,.1f}", "bold"), " orders/s   ",
        (_share(pulse.success_rate), "bold"), " confirmed   ",
        "POST to confirmed p50 ", (_milliseconds(pulse.latency.p50_ms), "bold"),
        "  p99 ", (_milliseconds(pulse.latency.p99_ms), "bold"),
    )  # fmt: skip


def _queue(pulse: Pulse) -> Text:
    counts = f"{pulse.failed:,} failed, {pulse.accepted:,} accepted in {pulse.window_seconds} s"
    return Text.assemble(
        (f"{pulse.in_flight:,}", "bold"), " in flight   ",
        (f"{pulse.queue.pending:,}", "bold"), f" pending{_oldest(pulse.queue)}   ", (counts, "dim"),
    )  # fmt: skip


def _oldest(queue: Queue) -> str:
    return "" if queue.oldest_seconds is None else f", the oldest {span(queue.oldest_seconds)}"


def _sparkline(name: str, counts: Sequence[int], width: int, colour: str) -> Text:
    """A bar per second, the newest at the right; the highest fills its cell."""
    line = Text.assemble((f"{name:<9}  ", "dim"))
    shown = counts[-max(1, width - len(line) - len("  peak 99,999/s")) :]
    peak = max(shown, default=0)
    # Rounded up: a second with one order is more than none.
    line.append("".join(BARS[-(-count * (len(BARS) - 1) // (peak or 1))] for count in shown), colour)
    return line.append(f"  peak {peak:,}/s", "dim")


def _venues(pulse: Pulse) -> Text:
    line = Text()
    for venue in pulse.venues:
        mark, colour = MARKS[venue.status]
        line.append(f"{mark} {printable(venue.dex)} {venue.status}", colour)
        absent = f", {venue.unavailable:,} unavailable" if venue.unavailable else ""
        line.append(f"  {venue.quotes:,} quotes{absent}   ", "dim")
    return line


def heading() -> str:
    """The names of the columns of `pulse_row`."""
    return _row(tuple(COLUMNS))


def pulse_row(pulse: Pulse) -> str:
    """The figures in one line, for where there is no screen to draw on."""
    return _row(
        (
            f"{pulse.ts.astimezone():%H:%M:%S}",
            f"{pulse.orders_per_second:,.1f}",
            _share(pulse.success_rate),
            _milliseconds(pulse.latency.p50_ms),
            _milliseconds(pulse.latency.p99_ms),
            f"{pulse.in_flight:,}",
            f"{pulse.queue.pending:,}",
            "–" if pulse.queue.oldest_seconds is None else span(pulse.queue.oldest_seconds),
            f"{pulse.failed:,}",
        )
    )


def _row(cells: Sequence[str]) -> str:
    return " ".join(f"{cell:>{width}}" for cell, width in zip(cells, COLUMNS.values(), strict=True))


def span(seconds: float) -> str:
    """A time in its natural unit: 0.3 s, 42 s, 7 min, 5 h, 3 d."""
    limit, size, unit = next(row for row in SPANS if seconds < row[0])
    digits = 1 if limit == SPANS[0][0] else 0
    return f"{max(0.0, seconds) / size:,.{digits}f} {unit}"


def _milliseconds(milliseconds: float | None) -> str:
    return "–" if milliseconds is None else f"{milliseconds:,.0f} ms"


def _share(share: float | None) -> str:
    """Rounded down, so that 100 % means all."""
    if share is None:
        return "–"
    return f"{int(Decimal(str(share)) * 1000) / 10:.1f} %"

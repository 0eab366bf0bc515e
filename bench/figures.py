"""What is measured, what it must be, and how it is shown beside its floor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from app.terminal.pacing import percentile


class Target(NamedTuple):
    """A figure of the table: its unit, what it must reach and what it aims at; more is better for rates."""

    label: str
    unit: str
    must: float | None = None
    aim: float | None = None

    @property
    def more_is_better(self) -> bool:
        return self.unit == "/s"


TARGETS: Final = {
    "accepted": Target("accepted, worker stopped", "/s", 7500, 11000),
    "accept_p50": Target("  its latency, 64 connections, p50", "ms"),
    "accept_p99": Target("  its latency, 64 connections, p99", "ms"),
    "accepted_working": Target("accepted, worker running and keeping up", "/s", 5000, 8000),
    "confirmed": Target("confirmed end to end, stored and streamed", "/s", 4000, 7000),
    "rss": Target("API + worker RSS under load", "MiB", 250, 180),
    "alone_p50": Target("POST to confirmed, one at a time, p50", "ms", 6, 4),
    "alone_p99": Target("POST to confirmed, one at a time, p99", "ms", 15, 8),
    "open300_p50": Target("the same at 300 orders/s, p50", "ms", 12, 5),
    "open300_p99": Target("the same at 300 orders/s, p99", "ms", 25, 12),
    "open1000_p50": Target("the same at 1,000 orders/s, p50", "ms", 25, 14),
    "open1000_p99": Target("the same at 1,000 orders/s, p99", "ms", 60, 21),
    "stream_p99": Target("commit to WebSocket at 5,000 events/s, p99", "ms", 5, 2),
    "socket_kib": Target("memory per idle WebSocket", "KiB", 40, 25),
    "idle_sockets": Target("idle WebSockets held by one API process", "", 10000, None),
    "idle_p99": Target("live p99 beside 10,000 idle WebSockets", "ms", 10, None),
}


class Floor(NamedTuple):
    """What the machine does for the bare minimum of the same work, measured in the same run."""

    name: str
    value: float


class Figure(NamedTuple):
    key: str
    value: float
    floor: Floor | None = None

    @property
    def target(self) -> Target:
        return TARGETS[self.key]

    @property
    def ratio(self) -> float | None:
        """How near it comes to its floor: 1 is as good as the bare minimum, for rates and for times alike."""
        if self.floor is None or not self.value or not self.floor.value:
            return None
        ratio = self.value / self.floor.value
        return ratio if self.target.more_is_better else 1 / ratio

    @property
    def verdict(self) -> str:
        target = self.target
        if target.must is None:
            return ""
        sign = 1 if target.more_is_better or not target.unit else -1
        if target.aim is not None and sign * self.value >= sign * target.aim:
            return "aim"
        return "must" if sign * self.value >= sign * target.must else "MISSED"


def milliseconds(values: Sequence[float], share: float) -> float:
    return percentile(values, share) * 1000


HEAD: Final = ("figure", "value", "must", "aim", "reached", "floor", "", "ratio")


def table(figures: Sequence[Figure]) -> str:
    """A Markdown table."""
    rows = [HEAD, *map(_row, figures)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _row(figure: Figure) -> tuple[str, ...]:
    target, floor = figure.target, figure.floor
    return (
        target.label,
        _amount(figure.value, target.unit),
        "" if target.must is None else _amount(target.must, target.unit),
        "" if target.aim is None else _amount(target.aim, target.unit),
        figure.verdict,
        "" if floor is None else _amount(floor.value, target.unit),
        "" if floor is None else floor.name,
        "" if figure.ratio is None else f"{figure.ratio:.2f}",
    )


def _amount(value: float, unit: str) -> str:
    text = f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2f}"
    return f"{text} {unit}".strip()

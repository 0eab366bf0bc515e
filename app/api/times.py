"""Times as clients see them: ISO 8601, UTC, milliseconds."""

from __future__ import annotations

import datetime as dt


def iso(time: dt.datetime) -> str:
    return time.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def iso_now() -> str:
    return iso(dt.datetime.now(dt.UTC))

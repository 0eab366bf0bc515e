"""How long an event takes from its commit to the clients that watch."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from bench.watching import Watcher


def lags(url: str, watchers: Sequence[Watcher]) -> list[float]:
    """Seconds from each live event's commit to its arrival. Needs track_commit_timestamp, and one machine's clock.

    Events that were committed before their watcher was connected are replays, and left out.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT order_id::text, sequence, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8"
            " FROM order_events"
        ).fetchall()
    committed = {(order_id, sequence): at for order_id, sequence, at in rows}
    return [
        seen - at
        for watcher in watchers
        for sequence, seen in watcher.seen
        if (at := committed[watcher.order_id, sequence]) > watcher.opened
    ]

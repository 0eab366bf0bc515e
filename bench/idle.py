"""Many WebSockets on which nothing happens."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Sequence
from typing import Final

from bench.watching import Watcher

AT_ONCE: Final = 64
PATIENCE: Final = 30.0


def allow_open_files() -> None:
    """As many as this process may have, here and in the children to come: each socket needs one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def hold_sockets(port: int, order_ids: Sequence[str]) -> list[Watcher]:
    """One open WebSocket for each of these, connected a few at a time."""
    loop = asyncio.get_running_loop()
    watchers = [Watcher(order_id, 0) for order_id in order_ids]
    for at in range(0, len(watchers), AT_ONCE):
        group = watchers[at : at + AT_ONCE]
        await asyncio.gather(
            *(
                loop.create_connection(lambda watcher=watcher: watcher, "127.0.0.1", port)  # type: ignore[misc]
                for watcher in group
            )
        )
        async with asyncio.timeout(PATIENCE):
            while not all(watcher.opened for watcher in group):
                await asyncio.sleep(0.001)
    return watchers

"""Jobs that are done: deleted many at a time, because nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from app.errors import StorageUnavailable
from app.jobs.queries import QUERIES
from app.storage.database import Connection
from app.storage.group_commit import GroupCommit
from app.storage.laned import Laned
from app.storage.statement import Statement

PACE: Final = 0.02  # seconds from one deletion to the next
TRIES: Final = 3
PAUSE: Final = 0.5  # seconds from one try to the next

_FINISH: Final = Statement(QUERIES["finish_jobs"])


class FinishedJobs(Laned):
    def __init__(self, conninfo: str) -> None:
        self._lane = GroupCommit[int, None]("finished jobs", conninfo, _delete, pace=PACE)

    async def delete(self, job_id: int) -> None:
        """Raises psycopg's RaiseException when there is no such job under way, or StorageUnavailable.

        A job that stayed would hide its orders from the sweep for as long as this worker lives.
        """
        for left in reversed(range(TRIES)):
            try:
                await self._lane.submit(job_id)
                break
            except StorageUnavailable:
                if not left:
                    raise
                await asyncio.sleep(PAUSE)


async def _delete(connection: Connection, job_ids: Sequence[int]) -> Sequence[None]:
    await _FINISH.rows(connection, list(job_ids), row=tuple)
    return [None] * len(job_ids)

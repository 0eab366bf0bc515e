"""Jobs that are done: deleted many at a time, because nobody waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from app.jobs.queries import QUERIES
from app.storage.database import Connection
from app.storage.group_commit import GroupCommit
from app.storage.laned import Laned

PACE: Final = 0.02  # seconds from one deletion to the next


class FinishedJobs(Laned):
    def __init__(self, conninfo: str) -> None:
        self._lane = GroupCommit[int, None](
            "finished jobs", conninfo, _delete, in_transaction=False, pace=PACE
        )

    async def delete(self, job_id: int) -> None:
        """Raises psycopg's RaiseException when there is no such job under way, or StorageUnavailable."""
        await self._lane.submit(job_id)


async def _delete(connection: Connection, job_ids: Sequence[int]) -> Sequence[None]:
    await connection.execute(QUERIES["finish_jobs"], (list(job_ids),))
    return [None] * len(job_ids)

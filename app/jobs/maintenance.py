"""Maintenance: puts back on the queue what a dead worker or a lost write left behind.

procrastinate alone never re-queues a job whose worker was killed, and loses one whose finish failed.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

import structlog
from procrastinate.exceptions import ConnectorException
from procrastinate.manager import JobManager

from app.jobs.app import AT_ONCE, enqueue
from app.jobs.queries import QUERIES
from app.storage.database import Connection, Database

log = structlog.get_logger()


async def sweep(database: Database, jobs: JobManager) -> None:
    """One round: jobs of dead workers, then orders that no job names. Raises StorageUnavailable."""
    async with database.connection() as connection, connection.transaction():
        cursor = await connection.execute(QUERIES["lock_sweep"])
        if await cursor.fetchone() != (True,):
            return
        await _requeue_stalled_jobs(connection, jobs)
        await _requeue_lost_orders(connection)


async def disown(database: Database, workers: Collection[int]) -> None:
    """Lets go of the orders that these former selves of this process held. Raises StorageUnavailable."""
    async with database.connection() as connection:
        await connection.execute(QUERIES["disown"], (list(workers),))


async def _requeue_stalled_jobs(connection: Connection, jobs: JobManager) -> None:
    cursor = await connection.execute(QUERIES["stalled_jobs"])
    for (job_id,) in await cursor.fetchall():
        with suppress(ConnectorException):  # it ended meanwhile
            await jobs.retry_job_by_id_async(job_id, AT_ONCE)
            log.warning("job.requeued", job_id=job_id)


async def _requeue_lost_orders(connection: Connection) -> None:
    cursor = await connection.execute(QUERIES["orders_without_job"])
    lost = [row[0] for row in await cursor.fetchall()]
    if lost:
        await enqueue(connection, lost)
        log.warning("orders.requeued", count=len(lost))

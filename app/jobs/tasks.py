"""The tasks that workers run: look at some orders, and sweep."""

from __future__ import annotations

import asyncio
from typing import Final
from uuid import UUID

import procrastinate
import structlog

from app.errors import HandedBack
from app.execution.engine import Engine, is_cancelled
from app.jobs.app import EXECUTE_ORDERS, MAINTENANCE_QUEUE, ORDERS_QUEUE
from app.jobs.maintenance import sweep
from app.jobs.retry import RetryAlways
from app.storage.database import Database

SWEEP_CRON: Final = "* * * * * */2"  # the sixth field is seconds
MAINTENANCE_PRIORITY: Final = 10
FAILURE_PAUSE: Final = 0.5  # seconds before an order that broke the engine is looked at again

log = structlog.get_logger()


def add_tasks(app: procrastinate.App, engine: Engine, database: Database) -> None:
    """Registers the tasks on a worker's app."""

    @app.task(name=EXECUTE_ORDERS, queue=ORDERS_QUEUE, retry=RetryAlways(), pass_context=True)
    async def execute_orders(context: procrastinate.JobContext, *, order_ids: list[str]) -> None:
        worker = context.job.worker_id
        assert worker is not None
        drives = (_drive(engine, UUID(order_id), worker) for order_id in order_ids)
        results = await asyncio.gather(*drives, return_exceptions=True)
        errors = [result for result in results if isinstance(result, BaseException)]
        if errors:
            raise errors[0]

    # Always one periodic task: without one the heartbeat stops for good after an outage.
    @app.periodic(cron=SWEEP_CRON)
    @app.task(
        name="sweep",
        queue=MAINTENANCE_QUEUE,
        priority=MAINTENANCE_PRIORITY,
        queueing_lock="sweep",  # while one waits, another would add nothing
        retry=RetryAlways(),
    )
    async def run_sweep(timestamp: int) -> None:  # noqa: ARG001  # procrastinate says when it was due
        try:
            await sweep(database, app.job_manager)
        except Exception as error:  # noqa: BLE001  # the next round is near; a retry of this one would spin, or meet it
            log.warning("sweep.failed", error=repr(error))


async def _drive(engine: Engine, order_id: UUID, worker: int) -> None:
    """Drives an order again and again until it rests: its job goes on as long as the slowest order of the batch."""
    while True:
        try:
            await engine.drive(order_id, worker)
        except HandedBack:
            raise
        except (Exception, asyncio.CancelledError):  # whoever raised it has logged it
            if is_cancelled():
                raise
            await asyncio.sleep(FAILURE_PAUSE)
        else:
            return

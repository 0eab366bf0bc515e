"""The worker: procrastinate's, run again and again, because the bare one ends with the first database outage."""

from __future__ import annotations

import asyncio
import random
from typing import Final

import procrastinate
import structlog

from app.execution.engine import Engine
from app.jobs.app import MAINTENANCE_QUEUE, ORDERS_QUEUE
from app.jobs.fetching import JobFetcher
from app.jobs.finished import FinishedJobs
from app.jobs.maintenance import disown, sweep
from app.jobs.manager import OrderJobManager
from app.jobs.tasks import add_tasks
from app.storage.database import Database

HEARTBEAT_SECONDS: Final = 1.0
FORGET_SECONDS: Final = 60.0  # a silent worker is stale after 5 s, but may come back after an outage of all
POLL_SECONDS: Final = 0.25  # a wake-up can be lost
DRAIN_SECONDS: Final = 4.0  # for orders in flight to reach a safe point
STOP_SECONDS: Final = 8.0
FIRST_BACKOFF: Final = 0.2
LAST_BACKOFF: Final = 2.0
MAINTENANCE_JOBS: Final = 4  # slots beside those of orders

log = structlog.get_logger()


class Worker:
    """Fetches jobs and drives their orders, until stopped."""

    def __init__(self, engine: Engine, database: Database, concurrency: int) -> None:
        self._engine = engine
        self._database = database
        self._concurrency = concurrency
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Orders in flight reach a safe point and go back to the queue; then `run` returns."""
        self._engine.stop()
        self._stopping.set()

    async def run(self) -> None:
        """Serves until `stop` is called; a database outage only interrupts it."""
        stopping = asyncio.create_task(self._stopping.wait())
        backoff = FIRST_BACKOFF
        while not self._stopping.is_set():
            began = asyncio.get_running_loop().time()
            serving = asyncio.create_task(self._serve())
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            await _end(serving)
            if asyncio.get_running_loop().time() - began > LAST_BACKOFF:
                backoff = FIRST_BACKOFF
            await asyncio.wait({stopping}, timeout=backoff * random.uniform(0.5, 1))
            backoff = min(LAST_BACKOFF, backoff * 2)
        stopping.cancel()

    async def _serve(self) -> None:
        """One life of procrastinate's worker; ends when the database is lost."""
        connector = procrastinate.PsycopgConnector()
        app = procrastinate.App(connector=connector)
        fetcher, finished = JobFetcher(self._database.conninfo), FinishedJobs(self._database.conninfo)
        app.job_manager = OrderJobManager(connector, self._engine, fetcher, finished)
        add_tasks(app, self._engine, self._database)
        async with app.open_async(self._database.pool), fetcher, finished:
            await disown(self._database, self._engine.workers)
            await sweep(self._database, app.job_manager)
            log.info("worker.started", concurrency=self._concurrency)
            await app.run_worker_async(
                queues=[ORDERS_QUEUE, MAINTENANCE_QUEUE],
                concurrency=self._concurrency + MAINTENANCE_JOBS,
                fetch_job_polling_interval=POLL_SECONDS,
                shutdown_graceful_timeout=DRAIN_SECONDS,
                delete_jobs="successful",
                install_signal_handlers=False,
                update_heartbeat_interval=HEARTBEAT_SECONDS,
                stalled_worker_timeout=FORGET_SECONDS,
            )


async def _end(serving: asyncio.Task[None]) -> None:
    """Stops what is still running, in order and in bounded time; an error is logged, not raised."""
    serving.cancel()  # procrastinate takes this as the request to drain
    await asyncio.wait({serving}, timeout=STOP_SECONDS)
    if not serving.done():
        log.error("worker.stop_timed_out")
        serving.cancel()
    elif not serving.cancelled() and (error := serving.exception()) is not None:
        log.warning("worker.lost", error=repr(error), cause=repr(error.__cause__))

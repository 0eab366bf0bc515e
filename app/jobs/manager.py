"""Fetching jobs only while there is room for their orders, and ending those that are still there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
import structlog
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job, Notification, Status
from procrastinate.manager import JobManager, NotificationCallback

from app.errors import StorageUnavailable
from app.execution.engine import Engine
from app.jobs.app import MAINTENANCE_QUEUE
from app.jobs.fetching import JobFetcher
from app.jobs.finished import FinishedJobs

PATIENCE: Final = 0.2  # seconds to wait for room before looking for maintenance only

log = structlog.get_logger()


class OrderJobManager(JobManager):
    """A full worker leaves order jobs to others; it still does maintenance.

    procrastinate fetches until it gets nothing: the answer that nothing is left comes along with the last job. And
    it writes the end of one job after the other: here they wait for each other.
    """

    def __init__(
        self, connector: BaseConnector, engine: Engine, fetcher: JobFetcher, finished: FinishedJobs
    ) -> None:
        super().__init__(connector)
        self._engine = engine
        self._fetcher = fetcher
        self._finished = finished
        self._is_dry = False  # the last fetch saw that nothing else is due, and no news has come since

    async def listen_for_jobs(
        self, *, on_notification: NotificationCallback, queues: Iterable[str] | None = None
    ) -> None:
        async def on_news(*, channel: str, notification: Notification) -> None:
            self._is_dry = False
            await on_notification(channel=channel, notification=notification)

        await super().listen_for_jobs(on_notification=on_news, queues=queues)

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        if self._is_dry:
            self._is_dry = False
            return None
        has_room = await self._engine.has_room(PATIENCE)
        assert queues is not None  # a worker names its own
        wanted = queues if has_room else [MAINTENANCE_QUEUE]
        self._is_dry = has_room  # what is told from here on may be too new for the answer
        with _connector_errors():
            job, has_more = await self._fetcher.fetch(wanted, worker_id)
            while job is None and has_room and not self._is_dry:  # procrastinate forgets news of this moment
                self._is_dry = True
                job, has_more = await self._fetcher.fetch(wanted, worker_id)
        if job is None or has_more:
            self._is_dry = False
        return job

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        with _unless_gone(job):
            if job.id is None or status is not Status.SUCCEEDED or not delete_job:
                await super().finish_job(job, status, delete_job)
                return
            with _connector_errors():
                await self._finished.delete(job.id)

    async def retry_job(
        self,
        job: Job,
        retry_at: dt.datetime | None = None,
        priority: int | None = None,
        queue: str | None = None,
        lock: str | None = None,
    ) -> None:
        with _unless_gone(job):
            await super().retry_job(job, retry_at, priority, queue, lock)


@contextmanager
def _connector_errors() -> Iterator[None]:
    """What procrastinate knows the failures of its database by."""
    try:
        yield
    except (psycopg.Error, StorageUnavailable) as error:
        raise ConnectorException from error


@contextmanager
def _unless_gone(job: Job) -> Iterator[None]:
    """A worker that was taken for dead finds, when it comes back, that others have done its jobs."""
    try:
        yield
    except ConnectorException as error:
        if not isinstance(error.__cause__, psycopg.errors.RaiseException):
            raise
        log.info("job.gone", job_id=job.id)

"""Fetching jobs, one at a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from procrastinate.jobs import Job
from procrastinate.types import JSONDict

from app.jobs.queries import QUERIES
from app.storage.database import Connection
from app.storage.group_commit import GroupCommit
from app.storage.laned import Laned
from app.storage.statement import Statement

_FETCH: Final = Statement(QUERIES["fetch_job"])


class BriefJob(Job):
    """A job that says in logs what it is, and not all that it names.

    procrastinate puts the description of a job together for each of its five messages, whether anybody reads them or not.
    """

    @property
    def call_string(self) -> str:
        return f"{self.task_name}[{self.id}]"

    def log_context(self) -> JSONDict:
        return {"id": self.id, "task_name": self.task_name, "queue": self.queue, "attempts": self.attempts}


class Fetch(NamedTuple):
    """Asks for a job of these queues."""

    queues: Sequence[str]
    worker: int


class Fetched(NamedTuple):
    """The job, if there was one, and whether another one is due."""

    job: BriefJob | None
    has_more: bool


class JobFetcher(Laned):
    def __init__(self, conninfo: str) -> None:
        self._lane = GroupCommit[Fetch, Fetched]("jobs", conninfo, _fetch, max_batch=1)

    async def fetch(self, queues: Iterable[str], worker: int) -> Fetched:
        """Raises StorageUnavailable, or psycopg.Error when there is no such worker."""
        fetched: Fetched = await self._lane.submit(Fetch(list(queues), worker))
        return fetched


async def _fetch(connection: Connection, asked: Sequence[Fetch]) -> Sequence[Fetched]:
    (fetch,) = asked
    return await _FETCH.rows(connection, fetch.queues, fetch.worker, row=_fetched)


class _Row(NamedTuple):
    """Of `fetch_job`: where there is no job, all is NULL but whether another one is due."""

    id: int | None
    status: str
    task_name: str
    priority: int
    lock: str | None
    queueing_lock: str | None
    task_kwargs: JSONDict
    scheduled_at: dt.datetime | None
    queue: str
    attempts: int
    abort_requested: bool
    worker_id: int
    has_more: bool


def _fetched(row: Sequence[Any]) -> Fetched:
    columns = _Row._make(row)._asdict()
    has_more = columns.pop("has_more")
    return Fetched(None if columns["id"] is None else BriefJob(**columns), has_more)

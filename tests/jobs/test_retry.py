"""When a job runs again: always, at once, and by no clock of the worker's."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest
from procrastinate.exceptions import JobAborted
from procrastinate.jobs import Job

from app.errors import HandedBack, StorageUnavailable
from app.jobs.app import AT_ONCE, EXECUTE_ORDERS, ORDERS_QUEUE
from app.jobs.retry import RetryAlways

ENDINGS = [
    HandedBack(),
    StorageUnavailable("away"),
    RuntimeError("a fault"),
    asyncio.CancelledError(),
    JobAborted(),
    TimeoutError(),
    SystemExit(1),
]


def a_job(attempts: int) -> Job:
    return Job(
        id=1,
        queue=ORDERS_QUEUE,
        lock=None,
        queueing_lock=None,
        task_name=EXECUTE_ORDERS,
        task_kwargs={},
        attempts=attempts,
    )


@pytest.mark.parametrize("attempts", [0, 1_000_000])
@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: type(ending).__name__)
def test_whatever_ended_a_job_it_runs_again_at_once_and_as_it_was(
    ending: BaseException, attempts: int
) -> None:
    retry = RetryAlways().get_retry_exception(exception=ending, job=a_job(attempts))

    assert retry is not None
    decision = retry.retry_decision
    assert decision.retry_at == AT_ONCE
    assert (decision.priority, decision.queue, decision.lock) == (None, None, None)


def test_at_once_is_past_by_every_clock() -> None:
    assert dt.datetime(2001, 1, 1, tzinfo=dt.UTC) > AT_ONCE

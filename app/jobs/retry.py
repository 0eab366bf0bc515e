"""When a job runs again: always, and at once. A job is a hint, and the ledger knows what is left to do."""

from __future__ import annotations

from procrastinate import BaseRetryStrategy, RetryDecision
from procrastinate.jobs import Job

from app.jobs.app import AT_ONCE


class RetryAlways(BaseRetryStrategy):
    """Retries whatever happened, cancellation too: with a list of exceptions a shutdown would abort jobs for good.

    Waiting is done before the job fails, not by a schedule: that would be by this worker's clock.
    """

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision:  # noqa: ARG002
        return RetryDecision(retry_at=AT_ONCE)

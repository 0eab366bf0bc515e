from __future__ import annotations

from structlog.testing import capture_logs

from tests.support.books import Books

from .workers import all_ended, lose_jobs, order_jobs, place, serving, settings, until


async def test_a_job_that_was_done_by_others_meanwhile_ends_without_an_error(books: Books) -> None:
    with capture_logs() as logs:
        async with serving(settings(books, mock_dex_execution_delay_ms=300)):
            await place(books, 1)

            async def is_fetched() -> bool:
                return len(await order_jobs(books, "doing")) == 1

            await until(is_fetched)
            await lose_jobs(books)
            await until(lambda: all_ended(books))

            async def is_noted() -> bool:
                return any(entry["event"] == "job.gone" for entry in logs)

            await until(is_noted)
    assert not [entry for entry in logs if entry["log_level"] == "error"]

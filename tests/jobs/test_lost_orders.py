"""Orders that no job names any more: the sweep finds them, and leaves all others alone."""

from __future__ import annotations

from uuid import UUID

import pytest

from app.orders.lifecycle import Status
from tests.support.books import Books

from .workers import fetch, lose_jobs, lose_waiting_jobs, named, order_jobs, place, swept

OPEN = [Status.PENDING, Status.ROUTING, Status.BUILDING, Status.SUBMITTED, Status.RETRYING]


@pytest.mark.parametrize("status", OPEN)
async def test_an_open_order_that_no_job_names_is_queued_again(books: Books, status: Status) -> None:
    order_id = await books.accept()
    if status is not Status.PENDING:
        await books.bring_to(status, order_id)
    await lose_jobs(books)
    await swept(books)

    [job] = await order_jobs(books)
    assert job.args == {"order_ids": [str(order_id)]}
    assert (job.status, job.scheduled_at) == ("todo", None)
    assert await books.status(order_id) == status


@pytest.mark.parametrize("status", ["todo", "doing"])
async def test_an_order_that_a_job_names_is_left_to_it(books: Books, status: str) -> None:
    orders = await place(books, 3)
    if status == "doing":
        await fetch(books, await books.a_worker())
    before = await order_jobs(books)
    assert [job.status for job in before] == [status]
    await swept(books)

    assert await order_jobs(books) == before
    assert {UUID(text) for text in before[0].args["order_ids"]} == set(orders)


@pytest.mark.parametrize("status", ["succeeded", "failed", "aborted", "cancelled"])
async def test_a_job_that_nobody_will_run_counts_for_nothing(books: Books, status: str) -> None:
    order_id = await books.accept()
    await books.ask("UPDATE procrastinate_jobs SET status = %s", status)
    await swept(books)

    assert await named(books) == [order_id]


async def test_only_the_orders_of_a_batch_that_are_lost_are_queued_again(books: Books) -> None:
    kept, lost = await books.accept(), await books.accept()
    await books.ask("DELETE FROM procrastinate_jobs WHERE args -> 'order_ids' ? %s", str(lost))
    await swept(books)

    assert sorted(await named(books)) == sorted([kept, lost])


async def test_a_job_that_names_no_order_is_in_nobodys_way(books: Books) -> None:
    await books.ask(
        "INSERT INTO procrastinate_jobs (queue_name, task_name, args) VALUES"
        """ ('elsewhere', 'execute_orders', '{"order_ids": ["no order"]}'), ('elsewhere', 'execute_orders', '{}')"""
    )
    order_id = await books.accept()
    await lose_waiting_jobs(books)
    await swept(books)

    assert await books.jobs_of(order_id)


async def test_an_order_that_is_only_stored_is_not_queued(books: Books) -> None:
    await books.accept(queue=False)
    await swept(books)

    assert await order_jobs(books) == []


@pytest.mark.parametrize("status", [Status.CONFIRMED, Status.FAILED])
async def test_an_order_that_has_ended_is_not_queued_again(books: Books, status: Status) -> None:
    await books.bring_to(status)
    await lose_jobs(books)
    await swept(books)

    assert await order_jobs(books) == []


async def test_more_lost_orders_than_one_sweep_takes_are_queued_by_the_next_ones(books: Books) -> None:
    orders = await place(books, 1001)
    await lose_jobs(books)
    for expected in (1000, 1001, 1001):
        await swept(books)
        assert len(await named(books)) == expected

    assert sorted(await named(books)) == sorted(orders)

"""Requests that come all at once, or whose answer is lost: 6, 7 and 13."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from typing import Final

import httpx
import pytest

from tests.e2e.clients import Answer as Reply
from tests.e2e.clients import an_order, client_of, volley
from tests.e2e.premises import Api
from tests.faults.client import Clients, clients
from tests.faults.journal import Answer
from tests.faults.trial import Scenario, Stage, Trial
from tests.support.processes import linux_only
from tests.support.wire import Wire, wire_to_postgres

pytestmark = linux_only

ONE_KEY: Final = Scenario(
    6,
    "one key",
    "POSTs with one idempotency key, all at once, to two API processes",
    "1 order, all others identical replays, < 5 s",
)
LOST_ANSWERS: Final = Scenario(
    7,
    "answers lost",
    "an API process is killed between its commit and its answer; the client asks again with its key",
    "the same order each time",
)
LIMIT: Final = Scenario(
    13,
    "rate limit",
    "many more orders than allowed, all at once, to four API processes, with made-up X-Forwarded-For",
    "exactly the limit is accepted; the header has no effect",
)
PER_MINUTE: Final = 120
HERE: Final = "127.0.0.1"
ELSEWHERE: Final = "127.0.0.2"


async def post_one_key(trial: Trial) -> None:
    number = trial.scale.pick(200, 1000)
    apis = await trial.start_apis(2)
    await trial.start_workers(1)
    key = "the one key"
    async with client_of(apis[0].url) as client:
        request = client.build_request(
            "POST", "/api/orders/execute", json=an_order(), headers={"idempotency-key": key}
        )
        began = time.monotonic()
        replies = await volley([api.url for api in apis], number, request, address=HERE)
        seconds = time.monotonic() - began
    log(trial, replies, [key] * number, seconds)
    statuses = Counter(reply.status for reply in replies)
    trial.expect(statuses == {201: 1, 200: number - 1}, f"not one order and {number - 1} replays: {statuses}")
    said = Counter(str(_less(reply.body, "idempotent")) for reply in replies)
    trial.expect(len(said) == 1, f"the answers differ in more than being a replay: {said.most_common(3)}")
    trial.expect(seconds < trial.bound(5), f"it took {seconds:.1f} s")
    trial.note("POSTs", number)
    trial.note("took, s", seconds)
    await trial.ended_within(20)


async def lose_answers(trial: Trial) -> None:
    """Two API processes behind a wire that withholds the reply to what commits; the killed one starts again meanwhile."""
    kills = trial.scale.pick(2, 50)
    faults = trial.plan.faults(kills, after=(0, 0.2), targets=4)
    async with wire_to_postgres(trial.database_url) as wire, clients(trial.journal, []) as them:
        with trial.site_at(wire.through_url(trial.database_url)) as site:
            apis = await trial.start_apis(2, site)
            await trial.start_workers(1)
            for number, fault in enumerate(faults):
                await asyncio.sleep(fault.after)
                victim, other = apis
                apis = [other, await lose_answer(trial, wire, victim, f"lost-{number}", them)]
                # A load balancer would go to the other process, a lone client to the one that starts again.
                url = apis[1 if fault.target == 0 else 0].url
                await ask_again(trial, f"lost-{number}", url, them)
            await trial.ended_within(20)
            await them.watched(30)
    trial.note("kills", kills)


async def lose_answer(trial: Trial, wire: Wire, victim: Api, key: str, them: Clients) -> Api:
    """Kills an API process when an order is committed and not answered; the process that takes its place."""
    await trial.serving(victim)
    with wire.withholding_the_answer_to(key) as is_withheld:
        asking = asyncio.create_task(them.ask(victim.url, key, an_order()))
        async with asyncio.timeout(20):
            await is_withheld.wait()
            while not stored_under(trial, key):  # noqa: ASYNC110  # it happens in the database
                await asyncio.sleep(0.01)
        victim.program.send(signal.SIGKILL)
        victim.program.ended()
    trial.expect(await asking is None, f"{key}: answered before the commit was known")
    with trial.site_at(wire.through_url(trial.database_url)) as site:
        return site.start_again(victim)


async def ask_again(trial: Trial, key: str, url: str, them: Clients) -> None:
    stored = stored_under(trial, key)
    again = await them.ask(url, key, an_order())
    trial.expect(stored == [again], f"{key}: stored as {stored}, then answered {again}")
    trial.expect(trial.journal.answers[-1].is_replay, f"{key}: not said to be a replay")
    if again is not None:
        them.watch(again, url)


def stored_under(trial: Trial, key: str) -> list[str]:
    return [id_ for (id_,) in trial.books.rows("SELECT id::text FROM orders WHERE idempotency_key = %s", key)]


async def exceed_limit(trial: Trial) -> None:
    number = trial.scale.pick(60, 200)
    apis = await trial.start_apis(4)
    urls = [api.url for api in apis]
    await trial.start_workers(1)
    spoofed = [f"203.0.113.{i}" for i in range(1, 5)]
    async with client_of(urls[0]) as client:
        requests = [_spoofing(client, f"{address}, 198.51.100.7") for address in spoofed]
        began = time.monotonic()
        volleys = await asyncio.gather(
            *(volley(urls, number, request, address=HERE) for request in requests),
            volley(
                urls,
                number,
                client.build_request("POST", "/api/orders/execute", json=an_order()),
                address=ELSEWHERE,
            ),
        )
        seconds = time.monotonic() - began
    here = [reply for replies in volleys[:-1] for reply in replies]
    replies = [*here, *volleys[-1]]
    log(trial, replies, [f"none-{i}" for i in range(len(replies))], seconds)
    found = Counter(reply.status for reply in here)
    # A machine too busy for Redis to answer in 50 ms: each process goes by what it knows. Not at full scale.
    alone = trial.scale.pick(sum("redis.away" in api.program.output for api in apis), 0)
    most = PER_MINUTE * (1 + alone)
    trial.expect(
        PER_MINUTE <= found[201] <= most, f"{found}: at most {most} × 201 of {len(here)} are allowed"
    )
    trial.expect(found.keys() <= {201, 429}, f"clients were told {found}")
    elsewhere = Counter(reply.status for reply in volleys[-1])
    admitted = min(number, PER_MINUTE)
    trial.expect(elsewhere[201] == admitted, f"another address: {elsewhere}, not {admitted} × 201")
    trial.note("POSTs", len(replies))
    trial.note("accepted of one address", found[201])
    await trial.ended_within(30)


def _spoofing(client: httpx.AsyncClient, forwarded_for: str) -> httpx.Request:
    headers = {
        "x-forwarded-for": forwarded_for,
        "x-real-ip": forwarded_for,
        "forwarded": f"for={forwarded_for}",
    }
    return client.build_request("POST", "/api/orders/execute", json=an_order(), headers=headers)


def log(trial: Trial, replies: list[Reply], keys: list[str], seconds: float) -> None:
    """Enters what a volley was answered into the journal."""
    for reply, key in zip(replies, keys, strict=True):
        accepted = reply.status in {200, 201}
        order_id = reply.body["orderId"] if accepted else None
        is_replay = accepted and reply.body["idempotent"]
        trial.journal.answers.append(Answer(key, reply.status, order_id, is_replay, seconds))


def _less(body: dict[str, object], name: str) -> dict[str, object]:
    return {field: value for field, value in body.items() if field != name}


@pytest.mark.timeout(400)
async def test_many_posts_with_one_key_make_one_order(stage: Stage) -> None:
    async with stage.trial(ONE_KEY) as trial:
        await post_one_key(trial)
    assert trial.findings == []


@pytest.mark.timeout(400)
async def test_an_order_whose_answer_was_lost_is_found_again_by_its_key(stage: Stage) -> None:
    async with stage.trial(LOST_ANSWERS) as trial:
        await lose_answers(trial)
    assert trial.findings == []


@pytest.mark.timeout(400)
async def test_the_limit_is_exact_over_four_processes_and_cannot_be_talked_around(stage: Stage) -> None:
    async with stage.trial(LIMIT, API_MAX_ORDERS_PER_MIN=str(PER_MINUTE)) as trial:
        await exceed_limit(trial)
    assert trial.findings == []

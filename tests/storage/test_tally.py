"""Counting and remembering in Redis: exact, together, and never in the way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio

from app.storage import redis_guard
from app.storage.redis_guard import RedisAway, RedisGuard
from app.storage.tally import MAX_BATCH, Question, Tally, Told

WINDOW = 60
TAKE = Question(window="order-engine:w", limit=3, take=1)
LOOK = Question(window="order-engine:w", limit=3)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_guard, "TICKS", 1000)  # on a busy machine Redis, too, is slow


@pytest.fixture
async def tally(redis_url: str) -> AsyncIterator[Tally]:
    async with (
        redis.asyncio.Redis.from_url(redis_url) as client,
        RedisGuard(client) as guard,
        Tally(client, guard, window=WINDOW) as tally,
    ):
        yield tally


class Calls:
    """Stands before a tally's script and counts."""

    def __init__(self, tally: Tally) -> None:
        self._script: Any = tally._script
        self.number = 0
        tally._script = self  # type: ignore[assignment]

    async def __call__(self, **arguments: Any) -> Any:
        self.number += 1
        return await self._script(**arguments)


async def test_no_more_are_taken_than_may_be_however_many_ask_at_once(tally: Tally) -> None:
    told = await asyncio.gather(*(tally.ask(TAKE) for _ in range(5)))

    assert [answer.is_admitted for answer in told] == [True, True, True, False, False]
    assert [answer.count for answer in told] == [1, 2, 3, 3, 3]
    assert all(0 < answer.reset <= WINDOW * 1_000_000 for answer in told)


async def test_what_is_asked_while_a_call_is_under_way_goes_in_the_next_one(tally: Tally) -> None:
    calls = Calls(tally)
    first = asyncio.create_task(tally.ask(LOOK))
    await asyncio.sleep(0)
    await asyncio.gather(first, *(tally.ask(LOOK) for _ in range(MAX_BATCH + 1)))

    assert calls.number <= 3


async def test_what_nobody_waits_for_goes_along_with_a_question_or_soon_alone(tally: Tally) -> None:
    calls = Calls(tally)
    tally.tell(Question(name="order-engine:n", value="one"))
    await tally.ask(LOOK)
    assert calls.number == 1

    tally.tell(Question(name="order-engine:n", value="two"))
    async with asyncio.timeout(10):
        while calls.number < 2:  # noqa: ASYNC110  # nothing says when
            await asyncio.sleep(0.01)
    assert (await tally.ask(Question(name="order-engine:n", mark="two"))).found == "two"


async def test_what_was_told_is_kept_when_it_closes(redis_url: str) -> None:
    async with redis.asyncio.Redis.from_url(redis_url) as client, RedisGuard(client) as guard:
        async with Tally(client, guard, window=WINDOW) as tally:
            tally.tell(Question(name="order-engine:n", value="kept"))
        assert await client.get("order-engine:n") == b"kept"


async def test_what_is_given_back_may_be_taken_again(tally: Tally) -> None:
    for _ in range(3):
        await tally.ask(TAKE)
    tally.tell(Question(window="order-engine:w", limit=3, take=-1))

    assert (await tally.ask(LOOK)).count == 2
    assert (await tally.ask(TAKE)).is_admitted


async def test_nothing_is_given_back_that_nobody_took(tally: Tally) -> None:
    tally.tell(Question(window="order-engine:w", limit=3, take=-1))
    assert (await tally.ask(TAKE)).count == 1


async def test_windows_are_apart(tally: Tally) -> None:
    await tally.ask(TAKE)
    assert (await tally.ask(Question(window="order-engine:another", limit=3, take=1))).count == 1


async def test_a_repeat_takes_nothing_and_another_request_under_its_name_does(tally: Tally) -> None:
    tally.tell(Question(name="order-engine:n", value="mark:order"))
    repeat = await tally.ask(
        Question(window="order-engine:w", limit=3, take=1, name="order-engine:n", mark="mark:")
    )
    other = await tally.ask(
        Question(window="order-engine:w", limit=3, take=1, name="order-engine:n", mark="other:")
    )

    assert (repeat.found, repeat.count) == ("mark:order", 0)
    assert (other.found, other.count) == ("", 1)


async def test_a_window_moves(redis_url: str) -> None:
    async with (
        redis.asyncio.Redis.from_url(redis_url) as client,
        RedisGuard(client) as guard,
        Tally(client, guard, window=1) as tally,
    ):
        once = Question(window="order-engine:w", limit=1, take=1)
        assert [(await tally.ask(once)).is_admitted for _ in range(2)] == [True, False]
        async with asyncio.timeout(10):
            while not (await tally.ask(once)).is_admitted:  # noqa: ASYNC110  # time passes in Redis
                await asyncio.sleep(0.05)


async def test_everybody_is_told_at_once_that_redis_is_away_and_what_was_told_is_forgotten() -> None:
    async with (
        redis.asyncio.Redis.from_url("redis://127.0.0.1:1") as client,
        RedisGuard(client) as guard,
        Tally(client, guard, window=WINDOW) as tally,
    ):
        answers = await asyncio.gather(*(tally.ask(TAKE) for _ in range(3)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [RedisAway] * 3
        with pytest.raises(RedisAway):
            await tally.ask(TAKE)
        tally.tell(TAKE)
        assert not tally._waiting


@pytest.mark.parametrize(
    "fault",
    [b"\xc1", b"\x90", RuntimeError("a bug"), asyncio.CancelledError()],
    ids=repr,
)
async def test_whatever_comes_of_a_call_nobody_is_left_waiting(
    tally: Tally, fault: bytes | BaseException
) -> None:
    class Broken:
        async def __call__(self, **_arguments: Any) -> bytes:
            if isinstance(fault, BaseException):
                raise fault
            return fault

    script = tally._script
    tally._script = Broken()  # type: ignore[assignment]
    async with asyncio.timeout(10):
        answers = await asyncio.gather(*(tally.ask(TAKE) for _ in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [RedisAway] * 3
    tally._script = script
    assert isinstance(await tally.ask(TAKE), Told)


async def test_what_was_taken_before_the_servers_clock_stepped_back_counts_no_more(
    tally: Tally, redis_url: str
) -> None:
    in_an_hour = f"{(time.time() + 3600) * 1e6:.0f}"
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.rpush(TAKE.window, *[in_an_hour] * 3)

    told = await tally.ask(TAKE)

    assert (told.is_admitted, told.count) == (True, 1)
    assert told.reset <= WINDOW * 1_000_000

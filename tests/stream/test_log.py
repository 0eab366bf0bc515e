"""Following the log: from anywhere, through everything, each entry once and nothing that concerns somebody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.storage.database import Database, conninfo
from app.storage.log import LogPage, LogReader
from app.stream.hub import Hub, HubClosed
from app.stream.log import Follower, Interest, LogFeed, LogGap
from tests.support.wire import Wire

from .conftest import NEVER
from .support import DEADLINE, HAPPY_WAY, Orders, an_order_reader, listening_backends, terminate, until

ALL = Interest("default")


class CountingReader(LogReader):
    """Knows how often it was asked."""

    reads = 0

    async def after(self, position: int, limit: int) -> LogPage:
        self.reads += 1
        return await super().after(position, limit)


@pytest.fixture
async def log(database_url: str) -> AsyncIterator[CountingReader]:
    async with Database(conninfo(database_url, "log")) as database:
        yield CountingReader(database)


@pytest.fixture
async def feed(log: LogReader) -> AsyncIterator[LogFeed]:
    """Nothing makes it look but `look`."""
    async with LogFeed(log, sweep_every=NEVER) as feed:
        yield feed


async def taken(follower: Follower, count: int) -> list[int]:
    """The positions of the next entries."""
    async with asyncio.timeout(DEADLINE):
        return [(await anext(follower)).position for _ in range(count)]


async def live(follower: Follower) -> asyncio.Task[list[int]]:
    """What comes next, of one that has nothing to read by itself any more."""
    next_one = asyncio.create_task(taken(follower, 1))
    await until(lambda: follower._is_live)
    return next_one


async def test_without_a_position_it_follows_from_now_on(feed: LogFeed, orders: Orders) -> None:
    order_id = await orders.insert()
    async with feed.follow(ALL) as follower:
        assert await follower.start() == 1
        await orders.append(order_id, "routing")
        assert await taken(follower, 1) == [2]


async def test_from_a_position_it_gets_what_was_and_what_comes(feed: LogFeed, orders: Orders) -> None:
    order_id = await orders.insert()
    await orders.append(order_id, "routing", "building")
    async with feed.follow(ALL) as follower:
        assert await follower.start(1) == 3
        assert await taken(follower, 2) == [2, 3]
        coming = await live(follower)
        await orders.append(order_id, "submitted")
        feed.look()
        assert await coming == [4]


async def test_it_gets_what_concerns_it(feed: LogFeed, orders: Orders) -> None:
    interests = [ALL, Interest("default", "mine"), Interest("alice")]
    followers = [feed.follow(interest) for interest in interests]
    for follower in followers:
        await follower.start(0)
    for account, wallet in [("default", None), ("default", "mine"), ("alice", "mine"), ("default", "other")]:
        await orders.insert(account=account, wallet=wallet)

    everything, mine, of_alice = followers
    assert await taken(everything, 3) == [1, 2, 4]
    assert await taken(mine, 1) == [2]
    assert await taken(of_alice, 1) == [3]
    tasks = [await live(follower) for follower in followers]
    await orders.insert(wallet="mine")
    feed.look()
    assert [await task for task in tasks[:2]] == [[5], [5]]
    assert of_alice.position == 5  # though nothing of it concerned alice
    tasks[2].cancel()
    for follower in followers:
        feed.leave(follower)


async def test_it_reads_nothing_while_nobody_follows(
    feed: LogFeed, log: CountingReader, orders: Orders
) -> None:
    async with feed.follow(ALL) as follower:
        await follower.start(0)
        await orders.insert()
        assert await taken(follower, 1) == [1]
    reads = log.reads
    for _ in range(3):
        await orders.insert()
        feed.look()
        await asyncio.sleep(0.05)
    assert log.reads == reads


async def test_many_followers_share_what_is_read(feed: LogFeed, log: CountingReader, orders: Orders) -> None:
    followers = [feed.follow(ALL) for _ in range(20)]
    for follower in followers:
        await follower.start()
    tasks = [await live(follower) for follower in followers]
    await until(lambda: not feed._work.is_set())
    await asyncio.sleep(0.1)  # for whatever is still being read
    reads = log.reads
    await orders.insert()
    feed.look()
    assert await asyncio.gather(*tasks) == [[1]] * 20
    assert log.reads == reads + 1
    for follower in followers:
        feed.leave(follower)


async def test_who_does_not_keep_up_reads_for_itself_and_misses_nothing(
    feed: LogFeed, orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.stream.follower.MAX_QUEUE", 2)
    async with feed.follow(ALL) as quick, feed.follow(ALL) as slow:
        for follower in (quick, slow):
            await follower.start()
            (await live(follower)).cancel()
        order_id = await orders.insert()
        for number, status in enumerate(HAPPY_WAY, start=1):
            feed.look()
            assert await taken(quick, 1) == [number]
            await orders.append(order_id, status)
        assert not slow._is_live
        assert len(slow._queue) == 0
        assert await taken(slow, 5) == [1, 2, 3, 4, 5]


async def test_entries_of_which_nobody_tells_are_found_by_the_timer(log: LogReader, orders: Orders) -> None:
    async with LogFeed(log, sweep_every=0.1) as feed, feed.follow(ALL) as follower:
        await follower.start()
        coming = await live(follower)
        await orders.insert(notify=False)
        assert await coming == [1]


async def test_a_notification_or_a_reconnected_listen_makes_it_look(
    database_url: str, feed: LogFeed, orders: Orders
) -> None:
    async with Database(conninfo(database_url, "test")) as database:
        reader = an_order_reader(database)
        async with (
            Hub(conninfo(database_url, "listen"), reader, sweep_every=NEVER, on_moved=feed.look) as hub,
            feed.follow(ALL) as follower,
        ):
            await until(lambda: hub._listener.is_listening)
            await follower.start()
            coming = await live(follower)
            await orders.insert()
            assert await coming == [1]
            coming = asyncio.create_task(taken(follower, 1))
            await orders.insert(notify=False)
            await terminate(database_url, await listening_backends(database_url))
            assert await coming == [2]


@pytest.mark.parametrize("after", [0, 2, 6, 10_000])
async def test_a_position_that_cannot_be_followed_from_is_a_gap(
    feed: LogFeed, orders: Orders, after: int
) -> None:
    gone = await orders.insert()
    await orders.append(gone, "failed")
    await orders.insert()
    gone_too = await orders.insert()
    await orders.connection.execute("DELETE FROM orders WHERE id IN (%s, %s)", (gone, gone_too))
    kept = await orders.insert()
    async with feed.follow(ALL) as follower:
        assert await follower.start(after) == 5
        with pytest.raises(LogGap) as gap:
            await taken(follower, 1)
    assert (gap.value.after, gap.value.oldest) == (after, 4)
    async with feed.follow(ALL) as follower:
        await follower.start(4)
        [entry] = [await anext(follower)]
        assert (entry.position, entry.event.order_id) == (5, kept)


async def test_what_is_deleted_before_it_was_handed_out_is_a_gap(feed: LogFeed, orders: Orders) -> None:
    async with feed.follow(ALL) as follower:
        await follower.start()
        coming = await live(follower)
        async with orders.connection.transaction():
            order_id = await orders.insert()
            await orders.connection.execute("DELETE FROM orders WHERE id = %s", (order_id,))
        feed.look()
        with pytest.raises(LogGap):
            await coming


async def test_who_follows_when_it_closes_is_told(log: LogReader, orders: Orders) -> None:
    async with LogFeed(log) as feed:
        follower = feed.follow(ALL)
        await follower.start()
        coming = await live(follower)
    with pytest.raises(HubClosed):
        await coming
    with pytest.raises(HubClosed):
        await feed.follow(ALL).start()


async def test_an_outage_delays_and_loses_nothing(database_url: str, wire: Wire, orders: Orders) -> None:
    async with (
        Database(wire.through(conninfo(database_url, "log"))) as database,
        LogFeed(LogReader(database), sweep_every=0.1) as feed,
        feed.follow(ALL) as follower,
    ):
        await follower.start()
        coming = await live(follower)
        wire.cut()
        order_id = await orders.insert()
        await orders.append(order_id, "routing")
        feed.look()
        await until(lambda: not feed._work.is_set())
        wire.mend()
        assert await coming == [1]
        assert await taken(follower, 1) == [2]

"""A lane that writes values into a table, and a write that tests can hold, break and look into."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence

from app.storage.database import Connection, connect, conninfo
from app.storage.group_commit import GroupCommit
from app.storage.statement import Statement

DEADLINE = 15.0

_WRITE = Statement("INSERT INTO written SELECT unnest($1::text[])")
Step = Callable[[Connection, Sequence[str]], None]


class Writing:
    """What a lane does with its batches: they end up in the table `written`, and each value is answered in capitals."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.before: Callable[[Sequence[str]], object] = lambda _values: None
        self.answer: Callable[[str], str | Exception] = str.upper

    async def __call__(self, connection: Connection, values: Sequence[str]) -> Sequence[str | Exception]:
        self.batches.append(list(values))
        await self.is_open.wait()
        self.before(values)
        await _WRITE.rows(connection, list(values), row=tuple)
        return [self.answer(value) for value in values]

    def hold(self) -> None:
        """The next batch waits before it is sent."""
        self.is_open.clear()

    def let_go(self) -> None:
        self.is_open.set()

    async def has_begun(self, batches: int) -> None:
        async with asyncio.timeout(DEADLINE):
            while len(self.batches) < batches:  # noqa: ASYNC110  # polled: batches begin in another task
                await asyncio.sleep(0.002)


class Lane:
    """A lane over a writing of its own, on a database with the table `written`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.writing = Writing()

    def open(
        self,
        *,
        through: str | None = None,
        max_batch: int = 128,
        max_waiting: int = 10_000,
        deadline: float = 10,
        kind: Callable[[str], Hashable] | None = None,
    ) -> GroupCommit[str, str]:
        commits = GroupCommit[str, str](
            "test",
            through or conninfo(self.url, "lane"),
            self.writing,
            max_batch=max_batch,
            max_waiting=max_waiting,
            deadline=deadline,
            kind=kind,
        )
        commits._line._deadline = DEADLINE  # to connect may take longer, on a busy machine
        return commits

    async def written(self) -> list[str]:
        """What was committed, in the order of writing."""
        connection = await connect(self.url)
        async with connection:
            cursor = await connection.execute("SELECT value FROM written ORDER BY number")
            return [value for (value,) in await cursor.fetchall()]

    async def execute(self, statement: str) -> None:
        connection = await connect(self.url)
        async with connection:
            await connection.execute(statement)

    async def kill(self) -> None:
        """The server ends the lane's connection."""
        connection = await connect(self.url)
        async with connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE application_name = 'order-engine lane' AND datname = current_database()"
            )


async def submitted(lane: GroupCommit[str, str], *values: str) -> list[asyncio.Task[str]]:
    """Each value in the lane's hands, in this order."""
    tasks = [asyncio.create_task(lane.submit(value)) for value in values]
    await asyncio.sleep(0)  # each has run up to its wait
    return tasks


async def results_of(tasks: Sequence[asyncio.Task[str]]) -> list[str | BaseException]:
    async with asyncio.timeout(DEADLINE):
        return await asyncio.gather(*tasks, return_exceptions=True)

"""Short histories of a ledger: transactions that overlap as a seed says, prunings, and readers that come and go.

Every transaction is a real one of Postgres, on a connection of its own, written by the engine's own functions; the
readers are the engine's own too. A history has an account of its own, in a log that all histories share.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from uuid import UUID

import msgspec
import psycopg

from app.orders.lifecycle import TRANSITIONS, Status
from app.orders.model import LogEntry, new_order_id
from app.storage.log import LogReader
from app.storage.queries import QUERIES
from app.storage.reader import OrderReader
from app.stream.log import Follower, Interest, LogFeed, LogGap

ACTIONS: Final = 40  # of writers, the pruner and readers, in one history
DEADLINE: Final = 60.0  # seconds, for whatever somebody waits for
OF_ACCOUNT: Final = (
    "SELECT e.position FROM order_events e JOIN orders o ON o.id = e.order_id WHERE o.account = %s ORDER BY 1"
)
OF_ORDERS: Final = "SELECT position FROM order_events WHERE order_id = ANY (%s)"

Connection: TypeAlias = psycopg.AsyncConnection[Any]


@dataclass
class World:
    """What all histories share; without the lock, transactions enter the log as they like."""

    writers: list[Connection]
    pruner: Connection
    orders: OrderReader
    log: LogReader
    feed: LogFeed
    has_lock: bool = True

    async def head(self) -> int:
        """The position of the last entry that is committed by now."""
        return (await self.log.ends()).head


@dataclass
class Reader:
    """A client: a snapshot, and the stream from there, through cuts."""

    world: World
    account: str
    rng: random.Random
    as_of: int = 0
    steps: dict[UUID, int] = field(default_factory=dict)  # the sequence that each order has come to
    seen: list[int] = field(default_factory=list)  # positions since the snapshot
    gaps: int = 0
    cuts: int = 0
    complaint: str = ""
    _cursor: int | None = None
    _follower: Follower | None = None

    async def look(self) -> None:
        """Takes a snapshot, to follow from there."""
        await self._leave()
        page = await self.world.orders.page(account=self.account, limit=100)
        assert not page.has_more
        self.as_of = self._cursor = page.as_of
        self.seen = []
        self.steps = {order.id: order.sequence for order in page.orders}

    async def read(self, entries: int | None = None, *, head: int | None = None) -> None:
        """So many entries, or all up to the head of the log, which is looked up if need be; at first a snapshot."""
        if self._cursor is None:
            await self.look()
            return
        if head is None:
            head = await self.world.head()
        self.world.feed.look()
        async with asyncio.timeout(DEADLINE):
            try:
                follower = await self._following()
                while entries != 0 and follower.position < head:
                    self._take(await anext(follower))
                    entries = None if entries is None else entries - 1
            except LogGap:
                self.gaps += 1
                await self.look()

    async def cut(self) -> None:
        """The connection is lost; it may be that a heartbeat came before."""
        if self._follower is not None:
            if self.rng.random() < 0.5:
                self._cursor = self._follower.position
            self.cuts += 1
            await self._leave()

    async def check(
        self, positions: list[int], ledger: dict[UUID, int], deleted: set[UUID], head: int
    ) -> str:
        """Reads to the end. What is wrong with what it has seen of these positions and orders; nothing, if empty."""
        await self.read(head=head)
        await self._leave()
        expected = [position for position in positions if position > self.as_of]
        if self.seen != expected:
            return f"after {self.as_of} saw {self.seen}, not {expected}"
        left = {order_id: step for order_id, step in self.steps.items() if order_id not in deleted}
        if left != ledger:
            return f"has {left}, not {ledger}"
        return self.complaint

    async def _following(self) -> Follower:
        if self._follower is None:
            self._follower = self.world.feed.follow(Interest(self.account))
            await self._follower.start(self._cursor)
        return self._follower

    async def _leave(self) -> None:
        if self._follower is not None:
            await self._follower.__aexit__(None, None, None)
            self._follower = None

    def _take(self, entry: LogEntry) -> None:
        event = entry.event
        if self.steps.get(event.order_id, 0) != event.sequence - 1:
            self.complaint = f"{event.order_id}: {event.sequence} after {self.steps.get(event.order_id)}"
        self.steps[event.order_id] = event.sequence
        self.seen.append(entry.position)
        self._cursor = entry.position


@dataclass
class Writing:
    """A transaction under way: the orders that it touches and where it takes them."""

    connection: Connection
    moves: dict[UUID, Status]
    work: asyncio.Task[None]


class History:
    """One account's orders, from none; `play` is the whole of it."""

    def __init__(self, world: World, seed: int, readers: int) -> None:
        self.world = world
        self.account = f"{seed}"
        self.rng = random.Random(seed)
        self.orders: dict[UUID, Status] = {}  # committed
        self.deleted: set[UUID] = set()
        self.pruned: list[int] = []  # positions
        self.readers = [Reader(world, self.account, random.Random(f"{seed}/{n}")) for n in range(readers)]
        self._idle = list(world.writers)
        self._inside: Writing | None = None  # has written, and not ended: the others wait
        self._outside: deque[Writing] = deque()
        self._pruning: list[UUID] = []
        self._going: list[int] = []  # positions

    async def play(self) -> list[str]:
        """What is wrong with each of the readers."""
        for _ in range(ACTIONS):
            action, weight = zip(*self._actions(), strict=True)
            await self.rng.choices(action, weight)[0]()
        while self._inside or self._outside:
            await self._end()
        await self._end_pruning(commits=True)
        return await self._verdicts()

    def _actions(self) -> list[tuple[Any, int]]:
        possible: list[tuple[Any, int]] = [(self._reader_acts, 20)]
        if self._idle:
            possible.append((self._write, 6))
        if self._inside or self._outside:
            possible += [(self._end, 4), (self._end_while_reading, 4)]
        if self._pruning:
            possible.append((self._end_pruning, 6))
        elif self._prunable():
            possible.append((self._prune, 6))
        return possible

    async def _reader_acts(self) -> None:
        head = await self.world.head()  # it stays there: nothing is committed before the next action
        for reader in self.rng.sample(self.readers, 1 + len(self.readers) // 10):
            match self.rng.randrange(10):
                case 0 | 1 | 2:
                    await reader.cut()
                case 3 | 4:
                    await reader.read(self.rng.randrange(1, 4), head=head)
                case _:
                    await reader.read(head=head)

    async def _end_while_reading(self) -> None:
        reader = self.rng.choice(self.readers)
        await asyncio.gather(self.rng.choice([reader.look, reader.read])(), self._end())

    async def _write(self) -> None:
        connection = self._idle.pop()
        moves = self._choose_moves()
        work = asyncio.create_task(self._transact(connection, moves))
        self._outside.append(Writing(connection, moves, work))
        if self.world.has_lock:
            await self._let_in()
        else:
            await work

    async def _let_in(self) -> None:
        """Waits for the writer that nobody keeps outside any more, if there is one."""
        if self._inside is None and self._outside:
            waiting = [writing.work for writing in self._outside]
            done, _ = await asyncio.wait(waiting, timeout=DEADLINE, return_when=asyncio.FIRST_COMPLETED)
            self._inside = next(writing for writing in self._outside if writing.work in done)
            self._outside.remove(self._inside)
            await self._inside.work

    async def _end(self) -> None:
        """The transaction inside commits, or is rolled back; without a lock any of them."""
        writing = self._inside or self.rng.choice(self._outside)
        if writing is self._inside:
            self._inside = None
        else:
            self._outside.remove(writing)
        await writing.work
        if self.rng.random() < 0.8:
            await writing.connection.commit()
            self.orders |= writing.moves
            self.world.feed.look()
        else:
            await writing.connection.rollback()
        self._idle.append(writing.connection)
        if self.world.has_lock:
            await self._let_in()

    def _choose_moves(self) -> dict[UUID, Status]:
        busy = {order_id for writing in self._under_way() for order_id in writing.moves}
        open_ = [id_ for id_, status in self.orders.items() if not status.is_final and id_ not in busy]
        if not open_ or self.rng.random() < 0.4:
            return {new_order_id(): Status.PENDING for _ in range(self.rng.randrange(1, 4))}
        moved = self.rng.sample(open_, self.rng.randrange(1, len(open_) + 1))
        return {id_: self.rng.choice(_NEXT[self.orders[id_]]) for id_ in moved}

    async def _transact(self, connection: Connection, moves: dict[UUID, Status]) -> None:
        is_new = Status.PENDING in moves.values()
        items = [self._new(id_) if is_new else self._move(id_, target) for id_, target in moves.items()]
        query = QUERIES["accept_orders" if is_new else "move_orders"]
        await psycopg.AsyncRawCursor(connection).execute(query, (msgspec.json.encode(items).decode(),))

    def _new(self, order_id: UUID) -> dict[str, Any]:
        return {
            "id": order_id, "account": self.account, "fingerprint": "00", "type": "market", "token_in": "SOL",
            "token_out": "USDC", "amount_in": 1, "slippage_bps": 50, "queue": False,
        }  # fmt: skip

    def _move(self, order_id: UUID, target: Status) -> dict[str, Any]:
        return {"id": order_id, "fence": 0, "source": self.orders[order_id], "target": target, "data": {}}

    def _prunable(self) -> list[UUID]:
        return [id_ for id_, status in self.orders.items() if status.is_final and id_ not in self.deleted]

    async def _prune(self) -> None:
        self._pruning = self.rng.sample(self._prunable(), 1)
        cursor = await self.world.pruner.execute(OF_ORDERS, (self._pruning,))
        self._going = [position for (position,) in await cursor.fetchall()]
        await self.world.pruner.execute(QUERIES["prune_orders"], (self._pruning,))

    async def _end_pruning(self, *, commits: bool | None = None) -> None:
        if not self._pruning:
            return
        if commits or self.rng.random() < 0.8:
            await self.world.pruner.commit()
            self.deleted |= {*self._pruning}
            self.pruned += self._going
        else:
            await self.world.pruner.rollback()
        self._pruning = []

    def _under_way(self) -> list[Writing]:
        return [*([self._inside] if self._inside else []), *self._outside]

    async def _verdicts(self) -> list[str]:
        cursor = await self.world.pruner.execute(OF_ACCOUNT, (self.account,))
        left = [position for (position,) in await cursor.fetchall()]
        await self.world.pruner.commit()
        head = await self.world.head()
        page = await self.world.orders.page(account=self.account, limit=100)
        ledger = {order.id: order.sequence for order in page.orders}
        positions = sorted(left + self.pruned)
        return [
            verdict
            for reader in self.readers
            if (verdict := await reader.check(positions, ledger, self.deleted, head))
        ]


_NEXT: Final = {
    source: [transition.target for transition in TRANSITIONS if transition.source is source]
    for source in Status
}

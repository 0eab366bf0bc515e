"""The ledger against a model of it: several workers at once, some of them dead, some with what they held long ago."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from app.errors import LostClaim
from app.orders.lifecycle import FINAL, HELD, TRANSITIONS, Status, is_allowed
from app.orders.model import OrderEvent
from app.storage.ledger import Claimed, Ledger, Suspect
from app.storage.moves import Move
from tests.support.books import Books, a_move
from tests.support.checker import violations

FOR_AN_HOUR = dt.timedelta(hours=-1)  # the heart of a worker that lives has beaten so far ahead

PROCESSES = 3
Answer = TypeVar("Answer")

# Places, not things: which worker won a race is not the same in every run, and what is drawn must not depend on it.
places = st.integers(0, PROCESSES - 1)
ages = st.integers(0, 4)  # how many claims ago


@dataclass
class Model:
    """What an order ought to be like."""

    id: UUID
    status: Status = Status.PENDING
    sequence: int = 1
    fence: int = 0
    attempt: int = 0
    deaths: int = 0
    holder: int | None = None
    is_due: bool = False
    claims: list[Claimed] = field(default_factory=list)  # every claim that was ever won, stale ones too

    @property
    def row(self) -> tuple[Any, ...]:
        is_open = self.status not in FINAL
        return self.status, self.sequence, self.fence, self.attempt, self.deaths, self.holder, is_open

    def is_claimable_by(self, worker: int, living: Sequence[int]) -> bool:
        if self.status in HELD:
            return self.holder == worker or self.holder not in living
        return self.status is Status.PENDING or (self.status is Status.RETRYING and self.is_due)

    def deaths_for(self, worker: int) -> int:
        return self.deaths + (self.holder is not None and self.holder != worker)

    def claimed(self, age: int) -> Claimed | None:
        """The claim that was won so many claims ago, or the oldest."""
        return self.claims[max(0, len(self.claims) - 1 - age)] if self.claims else None

    def claim(self, worker: int, claimed: Claimed) -> None:
        self.deaths = self.deaths_for(worker)
        if self.status not in HELD:
            self.status, self.sequence, self.attempt = Status.ROUTING, self.sequence + 1, self.attempt + 1
        self.fence, self.holder, self.is_due = self.fence + 1, worker, False
        self.claims.append(claimed)

    def move(self, target: Status) -> None:
        self.status, self.sequence = target, self.sequence + 1
        if target not in HELD:
            self.holder = None


class LedgerMachine(RuleBasedStateMachine):
    runner: ClassVar[asyncio.Runner]
    books: ClassVar[Books]
    ledgers: ClassVar[list[Ledger]]

    def _run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        return self.runner.run(work)

    async def _moved(self, *moves: tuple[Ledger, Move]) -> list[OrderEvent | BaseException]:
        return await asyncio.gather(*(ledger.move(move) for ledger, move in moves), return_exceptions=True)

    async def _at_once(self, *work: Coroutine[Any, Any, Answer]) -> list[Answer | BaseException]:
        return await asyncio.gather(*work, return_exceptions=True)

    @initialize()
    def open(self) -> None:
        self.orders = [Model(self._run(self.books.accept())) for _ in range(PROCESSES)]
        self.living = [self._run(self.books.a_worker(FOR_AN_HOUR)) for _ in range(PROCESSES)]

    @rule(
        place=places,
        racers=st.lists(places, min_size=1, max_size=PROCESSES, unique=True),
        max_deaths=st.sampled_from([100, 1, 0]),
    )
    def claim(self, place: int, racers: list[int], max_deaths: int) -> None:
        order, workers = self.orders[place], [self.living[racer] for racer in racers]
        answers = self._run(
            self._at_once(*(
                self.ledgers[racer].claim(order.id, worker, max_deaths)
                for racer, worker in zip(racers, workers, strict=True)
            ))
        )  # fmt: skip
        able = {worker for worker in workers if order.is_claimable_by(worker, self.living)}
        suspected = {worker for worker in able if order.deaths_for(worker) > max_deaths}
        won = {worker: answer for worker, answer in zip(workers, answers, strict=True) if answer is not None}
        if able - suspected:
            [(winner, claimed)] = won.items()
            assert winner in able
            assert isinstance(claimed, Claimed)
            order.claim(winner, claimed)
            assert (claimed.order.status, claimed.deaths) == (order.status, order.deaths)
        else:
            assert won == {worker: Suspect(order.deaths_for(worker)) for worker in suspected}

    @rule(
        place=places,
        age=ages,
        source=st.none() | st.sampled_from(Status),
        goal=st.sampled_from(Status),
        copies=st.integers(1, PROCESSES),
    )
    def move(self, place: int, age: int, source: Status | None, goal: Status, copies: int) -> None:
        order = self.orders[place]
        claimed, source = order.claimed(age), source or order.status
        if claimed is None:
            return
        move = a_move(claimed, goal, source=source)
        if move.signature is not None:
            move = msgspec.structs.replace(move, signature=f"{move.signature}/{order.sequence}")
        answers = self._run(self._moved(*((ledger, move) for ledger in self.ledgers[:copies])))
        made = [answer for answer in answers if isinstance(answer, OrderEvent)]
        assert all(isinstance(answer, OrderEvent | LostClaim) for answer in answers)
        is_right = claimed.order.fence == order.fence and source is order.status
        assert len(made) == (is_right and is_allowed(source, goal))
        if made:
            order.move(goal)
            assert (made[0].sequence, made[0].status) == (order.sequence, order.status)

    @rule(place=places, age=ages, goal=st.sampled_from(Status), copies=st.integers(1, PROCESSES))
    def move_on_at_once(self, place: int, age: int, goal: Status, copies: int) -> None:
        """To `building` and on, both waiting at the same time."""
        order = self.orders[place]
        claimed = order.claimed(age)
        if claimed is None:
            return
        moves = [a_move(claimed, Status.BUILDING), a_move(claimed, goal, source=Status.BUILDING)]
        if moves[1].signature is not None:
            moves[1] = msgspec.structs.replace(moves[1], signature=f"{moves[1].signature}/{order.sequence}")
        pairs = [(ledger, move) for ledger in self.ledgers[:copies] for move in moves]
        answers = self._run(self._moved(*pairs))
        made = [answer for answer in answers if isinstance(answer, OrderEvent)]
        assert all(isinstance(answer, OrderEvent | LostClaim) for answer in answers)
        is_right = claimed.order.fence == order.fence and order.status in {Status.ROUTING, Status.BUILDING}
        reached = [goal] if is_allowed(Status.BUILDING, goal) else []
        if order.status is Status.ROUTING:
            reached.insert(0, Status.BUILDING)
        assert [event.status for event in made] == (reached if is_right else [])
        for event in made:
            order.move(event.status)
            assert event.sequence == order.sequence

    @rule(place=places, way=st.integers(0, 2), copies=st.integers(1, PROCESSES))
    def advance(self, place: int, way: int, copies: int) -> None:
        """A move as a worker makes it: most of those above are wrong."""
        ways = [t.target for t in TRANSITIONS if t.source is self.orders[place].status]
        if ways:
            self.move(place, 0, None, ways[way % len(ways)], copies)

    @rule(place=places, age=ages, died=st.booleans())
    def release(self, place: int, age: int, died: bool) -> None:
        order = self.orders[place]
        claimed = order.claimed(age)
        if claimed is None:
            return
        [answer] = self._run(self._at_once(self.ledgers[0].release(claimed.order, died=died)))
        if claimed.order.fence == order.fence and order.holder is not None:
            assert answer is None
            order.holder, order.deaths = None, order.deaths + died
        else:
            assert isinstance(answer, LostClaim)

    @rule(place=places)
    def die_and_be_replaced(self, place: int) -> None:
        self._run(self.books.bury(self.living[place]))
        self.living[place] = self._run(self.books.a_worker(FOR_AN_HOUR))

    @rule(place=places)
    def wait_until_due(self, place: int) -> None:
        order = self.orders[place]
        self._run(self.books.make_due(order.id))
        order.is_due = order.status is Status.RETRYING

    @invariant()
    def the_orders_are_as_expected(self) -> None:
        for order in self.orders:
            row = self._run(self.books.order(order.id))
            assert order.row == (
                row.status, row.sequence, row.fence, row.attempt, row.deaths, row.claimed_by, row.is_open,
            )  # fmt: skip

    def teardown(self) -> None:
        landed = [order.id for order in self.orders if order.status is Status.CONFIRMED]
        ours = [order.id for order in self.orders]
        broken = self._run(violations(self.books.url, landed=landed, of=ours, unfinished_is_fine=True))
        assert broken == {}


def test_the_ledger_behaves_like_its_model(shared_database_url: str) -> None:
    class Machine(LedgerMachine):
        pass

    with asyncio.Runner() as Machine.runner:
        stack = AsyncExitStack()
        Machine.books = Machine.runner.run(stack.enter_async_context(Books(shared_database_url)))
        Machine.ledgers = Machine.runner.run(stack.enter_async_context(Machine.books.ledgers(PROCESSES)))
        try:
            run_state_machine_as_test(
                Machine,
                settings=settings(
                    max_examples=25,
                    stateful_step_count=30,
                    suppress_health_check=[HealthCheck.too_slow],
                ),
            )
        finally:
            Machine.runner.run(stack.aclose())

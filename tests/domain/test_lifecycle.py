from __future__ import annotations

import itertools

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.orders.lifecycle import FINAL, FIRST, HELD, TRANSITIONS, Status, is_allowed, mermaid


class Lifecycle(RuleBasedStateMachine):
    """An order that somebody moves at will, guarded by nothing but the table."""

    def __init__(self) -> None:
        super().__init__()
        self.path = [FIRST]

    @property
    def status(self) -> Status:
        return self.path[-1]

    @rule(status=st.sampled_from(Status))
    def try_to_move(self, status: Status) -> None:
        if is_allowed(self.status, status):
            self.path.append(status)

    @precondition(lambda self: not self.status.is_final)
    @rule(data=st.data())
    def move(self, data: st.DataObject) -> None:
        self.path.append(
            data.draw(st.sampled_from([t.target for t in TRANSITIONS if t.source is self.status]))
        )

    @invariant()
    def every_step_is_a_row_of_the_table(self) -> None:
        assert set(itertools.pairwise(self.path)) <= {(t.source, t.target) for t in TRANSITIONS}

    @invariant()
    def nothing_follows_a_final_status(self) -> None:
        assert not any(status.is_final for status in self.path[:-1])

    @invariant()
    def what_landed_was_submitted_just_before(self) -> None:
        assert self.status is not Status.CONFIRMED or self.path[-2] is Status.SUBMITTED

    @invariant()
    def each_transaction_was_routed_and_built_anew(self) -> None:
        for before, status in itertools.pairwise(self.path):
            assert status is not Status.SUBMITTED or before is Status.BUILDING
            assert status is not Status.BUILDING or before is Status.ROUTING


TestLifecycle = Lifecycle.TestCase


def test_the_table_is_the_agreed_one() -> None:
    agreed = {
        "pending": {"routing", "failed"},
        "routing": {"building", "retrying", "failed"},
        "building": {"submitted", "retrying", "failed"},
        "submitted": {"confirmed", "retrying", "failed"},
        "retrying": {"routing", "failed"},
        "confirmed": set(),
        "failed": set(),
    }

    assert {source: {t.target for t in TRANSITIONS if t.source == source} for source in Status} == agreed


def test_a_transition_is_allowed_only_when_the_table_has_it() -> None:
    rows = {(t.source, t.target) for t in TRANSITIONS}

    assert len(rows) == len(TRANSITIONS)
    for pair in itertools.product(Status, repeat=2):
        assert is_allowed(*pair) == (pair in rows)


def test_final_is_what_nothing_leaves() -> None:
    assert set(Status) - {t.source for t in TRANSITIONS} == FINAL == {s for s in Status if s.is_final}


def test_every_status_can_be_reached_and_can_end() -> None:
    reached, ending = {FIRST}, set(FINAL)
    for _ in Status:
        reached |= {t.target for t in TRANSITIONS if t.source in reached}
        ending |= {t.source for t in TRANSITIONS if t.target in ending}

    assert reached == ending == set(Status)


def test_held_is_between_the_claim_and_the_end_of_an_attempt() -> None:
    assert {s for s in Status if s.is_held} == HELD == set(Status) - FINAL - {Status.PENDING, Status.RETRYING}


def test_the_diagram_shows_every_transition_and_where_it_starts_and_ends() -> None:
    lines = [line.strip() for line in mermaid().splitlines()]

    assert lines[0] == "stateDiagram-v2"
    assert lines[1] == "[*] --> pending"
    assert {*lines[2:]} == {f"{t.source} --> {t.target}: {t.when}" for t in TRANSITIONS} | {
        "confirmed --> [*]", "failed --> [*]",
    }  # fmt: skip

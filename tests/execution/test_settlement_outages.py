"""Settlement while venues are silent, workers change, and the chain moves between two questions."""

from __future__ import annotations

import pytest

from app.execution import settlement
from app.execution.settlement import Verdict

from .paper import Fate, status_first
from .test_settlement import Watch


@pytest.mark.parametrize("question", ["status", "height"])
async def test_a_venue_that_is_down_says_nothing_until_it_is_back(question: str) -> None:
    watch = Watch(Fate.LINGER)
    watch.venue.fail(question, ConnectionRefusedError(), times=5)
    watch.at_pause[3] = watch.chain.expire

    result = await watch.settle()

    assert result.verdict is Verdict.EXPIRED
    assert len(watch.pauses) >= 5


async def test_what_was_taken_over_is_looked_for_before_it_is_sent() -> None:
    watch = Watch()
    watch.chain.receive(watch.transaction)

    assert (await watch.settle(is_fresh=False)).verdict is Verdict.LANDED
    assert watch.venue.calls == ["height", "status"]


async def test_what_was_taken_over_and_is_unknown_is_sent() -> None:
    watch = Watch()

    assert (await watch.settle(is_fresh=False)).verdict is Verdict.LANDED
    assert watch.venue.calls == ["height", "status", "submit", "height", "status"]


async def test_what_was_taken_over_too_late_is_not_sent() -> None:
    watch = Watch()
    watch.chain.expire()

    assert (await watch.settle(is_fresh=False)).verdict is Verdict.EXPIRED
    assert watch.chain.received == []


async def test_what_may_not_be_sent_is_only_watched() -> None:
    watch = Watch()
    watch.at_pause[4] = watch.chain.expire

    assert (await watch.settle(may_send=False, is_fresh=False)).verdict is Verdict.EXPIRED
    assert watch.chain.received == []


async def test_a_venue_is_asked_more_and_more_rarely_but_at_least_once_per_slot() -> None:
    watch = Watch(Fate.LINGER)
    watch.at_pause[9] = watch.chain.land_what_lingers

    await watch.settle()

    assert watch.pauses == pytest.approx([0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.4, 0.4, 0.4])


async def test_a_transaction_in_flight_is_not_sent_again_all_the_time() -> None:
    watch = Watch(Fate.LINGER)
    watch.at_pause[4] = watch.chain.land_what_lingers

    await watch.settle()

    assert len(watch.chain.received) == 1


@pytest.mark.usefixtures("_resend_at_once")
async def test_a_second_send_that_comes_too_late_ends_it_as_well() -> None:
    watch = Watch(Fate.LINGER)
    watch.at_pause[3] = watch.chain.expire

    assert (await watch.settle()).verdict is Verdict.FAILED
    assert watch.chain.landed == []


@pytest.mark.usefixtures("_resend_at_once")
async def test_a_venue_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settlement, "CALL_SECONDS", 0.02)
    watch = Watch()
    submit, status = watch.venue.hold("submit"), watch.venue.hold("status")
    watch.at_pause[2] = submit.set
    watch.at_pause[4] = status.set

    assert (await watch.settle()).verdict is Verdict.LANDED


class Interrupted(Exception):  # noqa: N818
    pass


async def test_a_pause_that_raises_leaves_the_fate_open() -> None:
    watch = Watch(Fate.LINGER)

    def interrupt() -> None:
        raise Interrupted

    watch.at_pause[2] = interrupt
    with pytest.raises(Interrupted):
        await watch.settle()


# While the first of two questions is answered, nothing is known; then it lands, and its time is over.
def it_lands_in_between(watch: Watch) -> None:
    asked: list[str] = []

    def before_answer(question: str) -> None:
        if question in {"height", "status"}:
            asked.append(question)
            if len(asked) == 2:
                watch.chain.land_what_lingers()
                watch.chain.expire()

    watch.chain.before_answer = before_answer


async def test_a_landing_between_the_two_questions_is_seen() -> None:
    watch = Watch(Fate.LINGER)
    it_lands_in_between(watch)

    assert (await watch.settle()).verdict is Verdict.LANDED


async def test_asked_in_the_other_order_the_same_landing_would_be_taken_for_expired(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settlement, "_look", status_first)
    watch = Watch(Fate.LINGER)
    it_lands_in_between(watch)

    assert (await watch.settle()).verdict is Verdict.EXPIRED
    assert watch.chain.landed == [watch.order_id]

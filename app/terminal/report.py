"""What a load has shown, in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import Final

from rich.text import Text

from app.orders.lifecycle import Status
from app.terminal.outcomes import Outcomes
from app.terminal.pacing import percentile
from app.terminal.placing import LATE, NO_ANSWER, Placing

SHARES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
LABEL: Final = 18  # columns


def report(placing: Placing, outcomes: Outcomes, rate: float, seconds: float) -> Iterator[Text]:
    """The lines of the summary of a load of `rate` orders a second for some seconds."""
    planned = round(rate * seconds)
    yield _line("placed", f"{placing.sent:,} of {planned:,} orders, {rate:g} a second for {seconds:g} s")
    yield from _pace(placing)
    yield _line("", "".join(f"{name:>12}" for name in SHARES), "dim")
    yield _latencies("POST", placing.latencies)
    yield _latencies("POST to confirmed", outcomes.latencies)
    yield _outcomes(outcomes)
    if outcomes.failures:
        yield _line("failed with", _counts(outcomes.failures.most_common()))
    if outcomes.unanswered:
        yield _line("", f"{outcomes.unanswered:,} were accepted, and their answer was lost", "yellow")
    yield from _answers(placing)


def _pace(placing: Placing) -> Iterator[Text]:
    if not (placing.late or placing.unsent):
        return
    late = f"{placing.late:,} were sent more than {LATE:g} s late (up to {placing.worst:.1f} s)"
    unsent = f", {placing.unsent:,} were never sent" if placing.unsent else ""
    yield _line("", f"The rate was not kept: {late}{unsent}.", "yellow")
    if placing.was_full:
        yield _line(
            "", "Every connection was waiting for an answer; --concurrency gives it more of them.", "yellow"
        )
    else:
        yield _line("", "Connections were free: this program had not enough of the processor.", "yellow")


def _latencies(name: str, seconds: Sequence[float]) -> Text:
    if not seconds:
        return _line(name, f"{'–':>12}")
    figures = "".join(f"{percentile(seconds, share) * 1000:>9,.0f} ms" for share in SHARES.values())
    return _line(name, f"{figures}   of {len(seconds):,}")


def _outcomes(outcomes: Outcomes) -> Text:
    line = _line("accepted", f"{outcomes.accepted:,}: ")
    line.append(f"{outcomes.ended[Status.CONFIRMED]:,} confirmed", "green").append(", ")
    failed = outcomes.ended[Status.FAILED]
    line.append(f"{failed:,} failed", "red" if failed else "").append(", ")
    return line.append(f"{outcomes.under_way:,} not ended", "bold red" if outcomes.under_way else "")


def _answers(placing: Placing) -> Iterator[Text]:
    named = [
        ("no answer" if code == NO_ANSWER else str(code), n) for code, n in sorted(placing.codes.items())
    ]
    yield _line("answers", _counts(named))
    for code, problem in sorted(placing.problems.items()):
        yield _line("", f"{code}: {problem}", "yellow")
    if HTTPStatus.TOO_MANY_REQUESTS in placing.codes:
        limit = "The engine takes API_MAX_ORDERS_PER_MIN orders a minute from one address; 0 there lifts the limit."
        yield _line("", limit, "yellow")


def _counts(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{number:,} × {name}" for name, number in counts)


def _line(label: str, text: str, style: str = "") -> Text:
    return Text.assemble((f"{label:<{LABEL}}", "dim"), (text, style))

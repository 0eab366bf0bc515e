"""The inspection after every scenario: ledger, chain, the clients' answers and their transcripts, held against each other."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import psycopg

from tests.faults.journal import ENDS, Journal, Step
from tests.support.checker import violations

EXAMPLES: Final = 3  # orders named per finding

_EVENTS: Final = (
    "SELECT order_id::text, sequence, status::text, data::text FROM order_events"
    " WHERE order_id = ANY (%s::uuid[]) ORDER BY order_id, sequence"
)


class Row(NamedTuple):
    id: str
    key: str | None


async def inspect(url: str, journal: Journal) -> list[str]:
    """Everything that is not as it must be, one sentence each."""
    broken = await violations(url)
    findings = [_sentence(rule, [str(id_) for id_ in orders]) for rule, orders in broken.items()]
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        findings += await _unlike_the_answers(connection, journal)
        findings += await _unlike_the_transcripts(connection, journal)
    return findings


async def _unlike_the_answers(connection: psycopg.AsyncConnection[Any], journal: Journal) -> list[str]:
    cursor = await connection.execute("SELECT id::text, idempotency_key FROM orders")
    rows = {id_: Row(id_, key) for id_, key in await cursor.fetchall()}
    told = journal.accepted
    known = journal.placed.union(*told.values())
    keys: dict[str, list[str]] = defaultdict(list)
    for row in rows.values():
        if row.key is not None:
            keys[row.key].append(row.id)
    lost = [(key, id_) for key, ids in told.items() for id_ in ids if id_ not in rows]
    found = {
        "accepted, but not in the ledger": [id_ for _, id_ in lost],
        "answered as the order of another key": [
            id_
            for key, ids in told.items()
            for id_ in ids
            if id_ in rows and rows[id_].key not in {key, None}
        ],
        "keys that were told of several orders": [key for key, ids in told.items() if len(ids) > 1],
        "keys with several orders": [key for key, ids in keys.items() if len(ids) > 1],
        "orders that no client was told of": [id_ for id_ in rows if id_ not in known],
        "clients that never got a 2xx": journal.given_up,
    }
    return [_sentence(what, who) for what, who in found.items() if who]


async def _unlike_the_transcripts(connection: psycopg.AsyncConnection[Any], journal: Journal) -> list[str]:
    watched = list({transcript.order_id for transcript in journal.transcripts})
    cursor = await connection.execute(_EVENTS, (watched,))
    events: dict[str, list[Step]] = defaultdict(list)
    for order_id, sequence, status, data in await cursor.fetchall():
        events[order_id].append(Step(sequence, status, json.loads(data, parse_float=str)))
    findings = []
    for what, wrong in _wrong_transcripts(journal, events):
        if wrong:
            findings.append(_sentence(what, wrong))
    return findings


def _wrong_transcripts(journal: Journal, events: dict[str, list[Step]]) -> Iterator[tuple[str, list[str]]]:
    whole = [transcript for transcript in journal.transcripts if transcript.leaves_after is None]
    left = [transcript for transcript in journal.transcripts if transcript.leaves_after is not None]
    yield (
        "transcripts unlike the events",
        [t.order_id for t in whole if not _same(t.steps, events[t.order_id])],
    )
    yield (
        "transcripts of watchers that left, unlike the first events",
        [t.order_id for t in left if not _same(t.steps, events[t.order_id][: len(t.steps)])],
    )
    yield (
        "watchers who were not told of the end",
        [t.order_id for t in whole if t.is_complete and t.closes[-1:] != [1000]],
    )


def _same(seen: Sequence[Step], events: Sequence[Step]) -> bool:
    return list(seen) == list(events) and (not seen or all(step.status not in ENDS for step in seen[:-1]))


def _sentence(what: str, who: Sequence[str]) -> str:
    examples = ", ".join(list(who)[:EXAMPLES])
    return f"{what}: {len(who)} ({examples}{', …' if len(who) > EXAMPLES else ''})"

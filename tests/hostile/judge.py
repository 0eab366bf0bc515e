"""Sending a case of the corpus, and saying what was wrong with what came of it."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, Final
from urllib.parse import urlsplit

from app.api.problems import PROBLEMS
from tests.hostile.corpus import Case, handshake
from tests.hostile.wire import CLOSED, PING, Answer, Wire

SECONDS: Final = 10.0  # for everything that is not slow by intent
SLOW_SECONDS: Final = 25.0
SWITCHED: Final = 101
CONTINUE: Final = 100
MEMBERS: Final = {"type", "title", "status", "detail", "instance", "code"}


class Judge:
    """Sends cases to one server; `order_id` is of an order that waits and can be watched."""

    def __init__(self, url: str, order_id: str) -> None:
        place = urlsplit(url)
        assert place.hostname is not None
        assert place.port is not None
        self._place = (place.hostname, place.port)
        self._order_id = order_id

    async def faults(self, case: Case) -> list[str]:
        """What is wrong with what came of it; empty when nothing is."""
        send = self._send_frames if case.kind == "frames" else self._send_request
        try:
            async with asyncio.timeout(SLOW_SECONDS if case.is_slow else SECONDS), Wire(*self._place) as wire:
                found = await send(wire, case)
        except TimeoutError:
            found = ["it hangs"]
        return [f"{case.kind}: {case.name}: {fault}" for fault in found]

    async def _send_frames(self, wire: Wire, case: Case) -> list[str]:
        path = case.line.get("path", "/ws/orders/{order}")
        await wire.send([handshake(path.replace("{order}", self._order_id))])
        (answer,) = await wire.answers(1)
        if answer.status != SWITCHED:
            return [f"the handshake was answered {answer.status}"]
        sending = asyncio.create_task(wire.send([*case.sent, PING]))
        outcome = await wire.outcome_of_frames()
        sending.cancel()
        await asyncio.wait({sending})
        return [] if outcome in case.expect else [f"{outcome}, not {case.expect}"]

    async def _send_request(self, wire: Wire, case: Case) -> list[str]:
        expected: list[int] | None = case.line.get("answers")
        is_head = case.line.get("method") == "HEAD" or case.line.get("head", False)
        sending = asyncio.create_task(wire.send(case.sent))
        answers = await wire.answers(len(expected) if expected else 1, head_only=is_head)
        found = [fault for answer in answers for fault in _faults(answer, case, has_body=not is_head)]
        statuses = [answer.status for answer in answers]
        if expected is not None and statuses != expected:
            found.append(f"{statuses}, not {expected}")
        elif (statuses[0] if statuses else CLOSED) not in case.expect:
            found.append(f"{statuses or CLOSED}, not {case.expect}")
        elif statuses == [SWITCHED]:
            found += await _close_faults(wire, case)
        elif case.line.get("until_closed"):
            await wire.until_closed()
        elif statuses and not await wire.is_quiet():
            found.append("more came after the answer")
        sending.cancel()
        await asyncio.wait({sending})
        return found


async def _close_faults(wire: Wire, case: Case) -> list[str]:
    if "close" not in case.line:
        return []
    code = await wire.outcome_of_frames()
    return [] if code == case.line["close"] else [f"closed with {code}, not {case.line['close']}"]


def _faults(answer: Answer, case: Case, *, has_body: bool) -> list[str]:
    """What is wrong with the answer itself, whatever was sent."""
    found = []
    if answer.status >= 500:
        found.append(f"a fault of the engine: {answer.status} {answer.body[:500]!r}")
    if b"x-injected" in answer.head.lower():
        found.append(f"an injected header: {answer.head!r}")
    if answer.status >= 400 and has_body:
        found += _problem_faults(answer, case)
    elif answer.status == 200 and has_body and answer.header("content-type") == "application/json":
        json.loads(answer.body)
    return found


def _problem_faults(answer: Answer, case: Case) -> list[str]:
    if answer.header("content-type") != "application/problem+json":
        return [f"{answer.status} is no problem document: {answer.head!r}"]
    problem: dict[str, Any] = json.loads(answer.body)
    code = problem.get("code")
    if not problem.keys() >= MEMBERS or code not in PROBLEMS:
        return [f"no documented problem: {problem}"]
    found = []
    if PROBLEMS[code].status != answer.status or problem["status"] != answer.status:
        found.append(f"{code} as {answer.status}")
    if case.code is not None and code != case.code:
        found.append(f"{code}, not {case.code}")
    if re.search(r"Traceback|File \"|psycopg|litestar|0x[0-9a-f]{8}", answer.body.decode()):
        found.append(f"tells of the inside: {problem}")
    return found

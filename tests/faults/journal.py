"""The journal: what the clients of a scenario were told, every answer and every message."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from typing import Any, Final, NamedTuple

ENDS: Final = frozenset({"confirmed", "failed"})


class Answer(NamedTuple):
    """What a POST came to; `status` is the HTTP status, or the name of the error on the way."""

    key: str
    status: int | str
    order_id: str | None
    is_replay: bool
    seconds: float
    at: float = 0.0  # when it came, by the monotonic clock


class Step(NamedTuple):
    """An event as a watcher saw it; numbers in `data` are kept as they were written."""

    sequence: int
    status: str
    data: dict[str, Any]


class Transcript:
    """What one watcher of an order was sent, over however many connections."""

    def __init__(self, order_id: str, leaves_after: int | None = None) -> None:
        self.order_id = order_id
        self.leaves_after = leaves_after  # steps; None: it stays until the order is final
        self.steps: list[Step] = []
        self.closes: list[int | None] = []  # the code of each connection's end

    @property
    def last(self) -> int:
        """The sequence to resume after."""
        return self.steps[-1].sequence if self.steps else 0

    @property
    def is_complete(self) -> bool:
        return bool(self.steps) and self.steps[-1].status in ENDS

    @property
    def has_left(self) -> bool:
        return self.leaves_after is not None and len(self.steps) >= self.leaves_after

    @property
    def wants_more(self) -> bool:
        return not (self.is_complete or self.has_left)

    def take(self, text: str | bytes) -> None:
        """Notes a message of either shape; an error message is no step."""
        message = json.loads(text, parse_float=str)
        if message.get("type") == "status":
            self.steps.append(Step(message["sequence"], message["status"], message["data"]))
        elif "sequence" in message:
            data = {name: value for name, value in message.items() if name not in _FRAME}
            self.steps.append(Step(message["sequence"], message["status"], data))


_FRAME: Final = ("orderId", "sequence", "status", "ts")


class Journal:
    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.transcripts: list[Transcript] = []
        self.given_up: list[str] = []  # keys whose client never got a 2xx
        self.placed: set[str] = set()  # orders that came in another way than over HTTP

    @property
    def accepted(self) -> dict[str, set[str]]:
        """Of each key the orders that a 2xx named."""
        orders: dict[str, set[str]] = defaultdict(set)
        for answer in self.answers:
            if answer.order_id is not None:
                orders[answer.key].add(answer.order_id)
        return orders

    @property
    def statuses(self) -> Counter[int | str]:
        return Counter(answer.status for answer in self.answers)

    def slowest(self, share: float, prefix: str = "", *, until: float = math.inf) -> float:
        """The seconds within which this share of the answers came, of those to keys that begin so."""
        asked = [answer for answer in self.answers if answer.key.startswith(prefix) and answer.at < until]
        times = sorted(answer.seconds for answer in asked)
        return times[min(len(times) - 1, int(len(times) * share))] if times else 0.0

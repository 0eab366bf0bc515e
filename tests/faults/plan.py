"""The fault plan: what is broken when, drawn from a seed that is printed and can be given again as SEED."""

from __future__ import annotations

import random
from enum import StrEnum
from typing import NamedTuple, TypeVar

Value = TypeVar("Value")


class Scale(StrEnum):
    """How much is broken: enough to notice, or all of it."""

    SHORT = "short"
    FULL = "full"

    def pick(self, short: Value, full: Value) -> Value:
        return short if self is Scale.SHORT else full


class Fault(NamedTuple):
    """One thing that is broken; times in seconds, `after` counted from the fault before it."""

    after: float
    target: int
    lasts: float


class Plan:
    """The faults of one scenario: the same seed draws the same ones."""

    def __init__(self, scenario: str, seed: int) -> None:
        self.scenario = scenario
        self.seed = seed
        self._random = random.Random(f"{seed}:{scenario}")

    def faults(
        self,
        count: int,
        *,
        after: tuple[float, float],
        targets: int = 1,
        lasts: tuple[float, float] = (0, 0),
    ) -> list[Fault]:
        """So many faults, printed; each in turn hits one of the targets."""
        drawn = [
            Fault(self._between(after), self._random.randrange(targets), self._between(lasts))
            for _ in range(count)
        ]
        for number, fault in enumerate(drawn, start=1):
            print(  # noqa: T201  # shown when the test fails
                f"SEED={self.seed} {self.scenario} {number}/{count}:"
                f" after {fault.after} s, target {fault.target}, for {fault.lasts} s"
            )
        return drawn

    def _between(self, bounds: tuple[float, float]) -> float:
        return round(self._random.uniform(*bounds), 2)

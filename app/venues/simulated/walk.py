"""A random walk that can be read at any slot without walking there."""

from __future__ import annotations

import math
from typing import Final

from app.venues.simulated.draws import Draws

EPOCH_SLOTS: Final = 2**22  # 19.4 days of 400 ms


def walk(draws: Draws, purpose: str, slot: int) -> float:
    """A Brownian motion whose variance grows by 1 per slot, at this slot, in 22 steps.

    Midpoint displacement: the value half-way between two known ones a span apart is normal around their mean
    with variance span / 4 (the Brownian bridge). The draw's counter is the midpoint itself, so each slot has
    one value whoever asks. The edges of an epoch are drawn around zero, which keeps prices near their base
    for as long as the simulation runs.
    Source: Lévy's construction; Mörters & Peres, Brownian Motion, section 1.1.
    """
    left = slot - slot % EPOCH_SLOTS
    span = EPOCH_SLOTS
    left_value, right_value = _edge(draws, purpose, left), _edge(draws, purpose, left + span)
    while slot != left:
        middle = left + span // 2
        value = (left_value + right_value) / 2 + math.sqrt(span) / 2 * draws.normal(purpose, middle)
        if slot < middle:
            right_value = value
        else:
            left, left_value = middle, value
        span //= 2
    return left_value


def _edge(draws: Draws, purpose: str, slot: int) -> float:
    return math.sqrt(EPOCH_SLOTS) / 2 * draws.normal(purpose, slot)

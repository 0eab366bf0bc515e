"""Scenarios: what a test of a bot wants the venues to do with its order, outside production."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec


class Scenario(StrEnum):
    CONFIRM = "confirm"  # lands at the price that was quoted
    SLIPPAGE = "slippage"  # the price moves beyond the tolerance before it lands
    QUOTE_TIMEOUT = "quote_timeout"  # no venue answers in time, at any attempt
    VENUE_DOWN = "venue_down"  # no venue is there, at any attempt
    DROPPED = "dropped"  # every transaction is refused before it could land
    REPLY_LOST_BUT_LANDED = "reply_lost_but_landed"  # the answer to the submission is lost on the way
    LANDED_LATE = "landed_late"  # lands in the last block in which it can
    EXPIRED = "expired"  # no transaction reaches the chain before it is too late
    # One venue is down and the other one drops the transaction; at the next attempt both are back.
    PARTIAL_OUTAGE_RECOVERS = "partial_outage_recovers"


KNOWN: Final = ", ".join(Scenario)


class Act(msgspec.Struct, frozen=True):
    """Where an order is in its scenario."""

    scenario: Scenario
    attempt: int  # from 1


def scenario_of(stored: str | None) -> Scenario | None:
    """The scenario of a stored order."""
    return None if stored is None else Scenario(stored)


def scenario_named(name: str) -> Scenario:
    """The scenario of this name. Raises ValueError, saying which there are."""
    try:
        return Scenario(name)
    except ValueError:
        raise ValueError(f"must be one of {KNOWN}") from None

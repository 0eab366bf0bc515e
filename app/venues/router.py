"""Asking every venue at once, under one deadline; one that is down, slow or broken costs nothing but its quote."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from typing import Final

import msgspec
import structlog

from app.errors import Unfillable, VenueError
from app.orders.failures import Failure, FailureCode
from app.orders.model import Quote, Swap
from app.venues.port import Venue

CANCEL_SECONDS: Final = 1.0  # how long a venue that is late may take to let go

log = structlog.get_logger()


class Refusal(msgspec.Struct, frozen=True):
    """Why a venue gave no quote: quote_timeout, venue_unavailable or unfillable_amount."""

    venue: str
    code: FailureCode
    message: str


class QuoteRound(msgspec.Struct, frozen=True):
    """What the venues answered, each in one of the two."""

    quotes: tuple[Quote, ...]
    refusals: tuple[Refusal, ...]

    def failure(self) -> Failure:
        """Why there is no quote at all; final only when every venue says that it will never fill the amount."""
        codes = {refusal.code for refusal in self.refusals}
        code = codes.pop() if len(codes) == 1 else FailureCode.VENUE_UNAVAILABLE
        reasons = " ".join(f"{refusal.venue}: {refusal.message}" for refusal in self.refusals)
        return Failure(code, reasons or "There is no venue to ask.")


async def gather_quotes(venues: Sequence[Venue], swap: Swap, deadline: float) -> QuoteRound:
    """The quotes that arrive within `deadline` seconds, and a refusal for each venue that gave none."""
    if not venues:
        return QuoteRound((), ())
    asked = [asyncio.create_task(_ask(venue, swap), name=f"quote {venue.name}") for venue in venues]
    try:
        await asyncio.wait(asked, timeout=deadline)
        # Read before anything is cancelled: what a late venue says while it lets go is no answer.
        answers = [_answer(task, venue.name, deadline) for task, venue in zip(asked, venues, strict=True)]
    finally:
        await _cancel(asked)
    quotes = tuple(answer for answer in answers if isinstance(answer, Quote))
    refusals = tuple(answer for answer in answers if isinstance(answer, Refusal))
    return QuoteRound(quotes, refusals)


async def _ask(venue: Venue, swap: Swap) -> Quote | Refusal:
    try:
        return await venue.quote(swap)
    except Unfillable as error:
        return Refusal(venue.name, FailureCode.UNFILLABLE_AMOUNT, str(error))
    except VenueError as error:
        return Refusal(venue.name, FailureCode.VENUE_UNAVAILABLE, str(error))
    except TimeoutError:
        return Refusal(venue.name, FailureCode.QUOTE_TIMEOUT, "The venue timed out.")
    except Exception:  # whatever a venue's client raises, the other venues still count
        log.exception("venue.quote_failed", venue=venue.name)
        return Refusal(venue.name, FailureCode.VENUE_UNAVAILABLE, "The venue failed unexpectedly.")


def _answer(task: asyncio.Task[Quote | Refusal], venue: str, deadline: float) -> Quote | Refusal:
    if not task.done():
        return Refusal(venue, FailureCode.QUOTE_TIMEOUT, f"No quote within {deadline:g} s.")
    if task.cancelled():
        return Refusal(venue, FailureCode.VENUE_UNAVAILABLE, "The venue gave up.")
    return task.result()


async def _cancel(asked: Iterable[asyncio.Task[Quote | Refusal]]) -> None:
    late = [task for task in asked if not task.done()]
    for task in late:
        task.cancel()
    if late:
        _, stuck = await asyncio.wait(late, timeout=CANCEL_SECONDS)
        _report(stuck)


def _report(stuck: Collection[asyncio.Task[Quote | Refusal]]) -> None:
    for task in stuck:
        log.error("venue.quote_stuck", task=task.get_name())

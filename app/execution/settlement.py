"""Settlement: finding out what became of a signed transaction, without ever signing another.

The signature decides. Landed or failed on chain: so be it. Unknown and still valid: the same bytes are sent again.
Unknown and past its last valid height: it never lands. An error on the way to the venue says nothing at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final

import msgspec
import structlog

from app.errors import SubmissionRejected
from app.orders.failures import Failure, FailureCode
from app.orders.model import SignedTransaction
from app.venues.port import TxState, TxStatus, Venue

CALL_SECONDS: Final = 5.0
FIRST_POLL: Final = 0.01  # seconds; doubles up to the length of a slot
LAST_POLL: Final = 0.4
RESEND_SECONDS: Final = 2.0

log = structlog.get_logger()


class Verdict(StrEnum):
    LANDED = "landed"
    FAILED = "failed"
    EXPIRED = "expired"


class Settlement(msgspec.Struct, frozen=True):
    """The fate of a transaction; `amount_out` in base units when it landed, else why it did not."""

    verdict: Verdict
    amount_out: int = 0
    failure: Failure | None = None

    @property
    def outcome(self) -> str:
        return self.verdict.value


async def settle(
    venue: Venue,
    transaction: SignedTransaction,
    pause: Callable[[float], Awaitable[None]],
    *,
    may_send: bool,
    is_fresh: bool,
) -> Settlement:
    """Sends the transaction and watches it until its fate is certain.

    `is_fresh`: nobody can have sent it yet, so it goes out at once. `pause` waits that many seconds, and may raise
    to end the watch: the fate stays open then.
    """
    loop = asyncio.get_running_loop()
    poll = FIRST_POLL
    send_at = loop.time() if is_fresh else None
    rejected: str | None = None
    while True:
        if may_send and rejected is None and send_at is not None and loop.time() >= send_at:
            rejected = await _send(venue, transaction)
            send_at = loop.time() + RESEND_SECONDS
        status, is_past = await _look(venue, transaction)
        if status is not None:
            settlement = _judge(status, is_past=is_past, rejected=rejected)
            if settlement is not None:
                return settlement
            if send_at is None:  # taken over, and the chain does not know it: send it now
                send_at = loop.time()
                continue
        await pause(poll)
        poll = min(LAST_POLL, poll * 2)


async def _send(venue: Venue, transaction: SignedTransaction) -> str | None:
    """Sends it; the venue's reason when it is certain that it never lands."""
    try:
        async with asyncio.timeout(CALL_SECONDS):
            await venue.submit(transaction)
    except SubmissionRejected as error:
        return str(error) or "the venue refused the transaction"
    except Exception as error:  # noqa: BLE001  # a lost reply is not a rejection: only the signature tells
        log.warning(
            "venue.submit_ambiguous", venue=venue.name, signature=transaction.signature, error=repr(error)
        )
    return None


async def _look(venue: Venue, transaction: SignedTransaction) -> tuple[TxStatus | None, bool]:
    """The signature's status, and whether it can no longer land; None when the venue does not answer."""
    try:
        async with asyncio.timeout(CALL_SECONDS):
            # The height first: a transaction unknown at a time when it was already too late stays unknown.
            height = await venue.height()
            status = await venue.status(transaction.signature)
    except Exception as error:  # noqa: BLE001  # the venue is away: nothing is known, so nothing changes
        log.warning(
            "venue.status_unavailable", venue=venue.name, signature=transaction.signature, error=repr(error)
        )
        return None, False
    return status, height > transaction.last_valid_height


def _judge(status: TxStatus, *, is_past: bool, rejected: str | None) -> Settlement | None:
    match status.state:
        case TxState.CONFIRMED:
            assert status.amount_out is not None
            return Settlement(Verdict.LANDED, status.amount_out)
        case TxState.FAILED:
            assert status.failure is not None
            return Settlement(Verdict.FAILED, failure=status.failure)
        case TxState.UNKNOWN if rejected is not None:
            return Settlement(Verdict.FAILED, failure=Failure(FailureCode.TRANSACTION_DROPPED, rejected))
        case TxState.UNKNOWN if is_past:
            message = "the transaction passed its last valid block height without landing"
            return Settlement(Verdict.EXPIRED, failure=Failure(FailureCode.TRANSACTION_EXPIRED, message))
        case _:
            return None

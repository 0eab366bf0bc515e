"""The fingerprint of a request: what tells a repeat under an idempotency key from another request."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import msgspec

from app.orders.model import OrderRequest

FINGERPRINT_BYTES: Final = 16


def fingerprint(request: OrderRequest, queue: bool) -> bytes:
    """Sixteen bytes that are equal for equal requests only, however each was spelled.

    `queue` tells an order that is to be executed at once from one that is only stored.
    """
    swap = request.swap
    canonical = (
        request.type,
        swap.token_in.mint,
        swap.token_out.mint,
        swap.amount_in,
        request.slippage_bps,
        request.wallet,
        queue,
        # An order without one keeps the fingerprint that it had before there were scenarios.
        *(() if request.scenario is None else (request.scenario,)),
    )
    return blake2b(msgspec.json.encode(canonical), digest_size=FINGERPRINT_BYTES).digest()

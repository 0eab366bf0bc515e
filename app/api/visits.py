"""Who asks, and where that client stands: what every answer to a POST says of its limit.

The header fields are those of the IETF draft "RateLimit header fields for HTTP": a policy `"orders";q=120;w=60`
(quota, window in seconds) and where the client stands, `"orders";r=119;t=60` (remaining, seconds until more).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from litestar.types import Scope

from app.execution.limits import WINDOW, Allowance, Client

_VISIT: Final = "visit"  # where the connection's state keeps it


@dataclass(slots=True)
class Visit:
    """A client that asks for something that counts, and where it stands as far as we know."""

    client: Client
    allowance: Allowance | None = None


def begin_visit(scope: Scope, account: str) -> Visit:
    """Remembers who asks, so that the answer can say where the client stands, whatever the answer is."""
    peer = scope["client"]  # the peer's address, or the forwarded one when the peer is a trusted proxy
    visit = scope["state"][_VISIT] = Visit(Client(account, peer[0] if peer else "local"))
    return visit


def rate_limit_headers(scope: Scope) -> dict[str, str]:
    """The header fields for the answer to whoever asks; none when nothing is limited."""
    visit: Visit | None = scope["state"].get(_VISIT)
    if visit is None or visit.allowance is None:
        return {}
    allowance = visit.allowance
    return {
        "RateLimit-Policy": f'"orders";q={allowance.limit};w={WINDOW}',
        "RateLimit": f'"orders";r={allowance.remaining};t={allowance.reset}',
    }

"""What travels between a process and the chain's schema, as JSON: see migrations/sql/0002_simulated_chain.sql."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

import msgspec

from app.storage.database import Connection
from app.storage.statement import Statement
from app.venues.simulated.exchange import Exchange
from app.venues.simulated.landing import Due, Landing
from app.venues.simulated.listings import LISTINGS
from app.venues.simulated.market import Market
from app.venues.simulated.pool_rows import ReadPool, read_pool, write_pool
from app.venues.simulated.transaction import RouteLeg, SwapMessage

MOST_AT_ONCE: Final = 256  # transactions that one landing executes
NOTHING_HELD: Final = -1

_SERVE: Final = Statement("SELECT * FROM simulated_chain.serve($1, $2, $3, $4, $5, $6, $7, $8)")
_TAKE_DUE: Final = Statement("SELECT simulated_chain.take_due($1, $2, $3, true)::text")
_LAND: Final = Statement("SELECT simulated_chain.land($1, $2, $3, $4, $5, $6)")

_ENCODER: Final = msgspec.json.Encoder()
Decoded = TypeVar("Decoded")


class Sent(msgspec.Struct, frozen=True):
    """A transaction that is handed in; `rank` is its place among those that land at the same time."""

    signature: str
    order_id: UUID
    attempt: int
    venue: str
    mint_in: str
    mint_out: str
    amount_in: int
    min_out: int
    route: tuple[RouteLeg, ...]
    last_valid_height: int
    rank: int


class Known(msgspec.Struct, frozen=True, array_like=True):
    """What the chain says of a signature."""

    signature: str
    state: str  # contested | late | pending | due | confirmed | failed, see simulated_chain.serve
    amount_out: int | None = None
    failure_code: str | None = None


class MarketRow(msgspec.Struct, frozen=True):
    """A market after its last landing; no pools where the caller holds this version."""

    version: int
    slot: int
    opening: dict[str, tuple[int, int]]
    pools: list[ReadPool] | None


class Taken(msgspec.Struct, frozen=True):
    """What is due, in the order in which it lands, and the market that it meets."""

    due: list[Due]
    market: MarketRow


class Question(NamedTuple):
    """Everything that is asked of the chain at the same time."""

    sent: Mapping[str, SwapMessage]
    asked: Sequence[str]
    wants_pools: bool


class Served(NamedTuple):
    """The chain's answer, at `now_ms`; see simulated_chain.serve."""

    now_ms: int
    is_stopped: bool
    is_due: bool
    known: Mapping[str, Known]
    market: MarketRow | None
    taken: Taken | None
    wants_pools: bool


class Landed(msgspec.Struct, frozen=True):
    """What an executed transaction came to."""

    signature: str
    outcome: str
    amount_out: int | None
    failure_code: str | None


class Records:
    """The statements of one market; times in milliseconds."""

    def __init__(self, market: Market, delay_ms: int, slot_ms: int) -> None:
        self._market = market
        self._seed = str(market.seed)
        self._delay_ms = delay_ms
        self._slot_ms = slot_ms

    def _sent(self, signature: str, message: SwapMessage) -> Sent:
        return Sent(
            signature,
            message.order_id,
            message.attempt,
            message.venue,
            message.mint_in,
            message.mint_out,
            message.amount_in,
            message.min_out,
            message.route,
            message.last_valid_height,
            self._market.draws.below(2**63, "rank", message.order_id, message.attempt),
        )

    async def serve(self, connection: Connection, question: Question, held: int) -> Served:
        terms = (self._delay_ms, self._slot_ms, self._seed, held, MOST_AT_ONCE, question.wants_pools)
        sent = [self._sent(signature, message) for signature, message in question.sent.items()]
        parameters = (_ENCODER.encode(sent).decode(), list(question.asked), *terms)
        ((now_ms, is_stopped, is_due, known, pools, taken),) = await _SERVE.rows(
            connection, *parameters, row=tuple
        )
        return Served(
            now_ms,
            is_stopped,
            is_due,
            {each.signature: each for each in msgspec.json.decode(known, type=list[Known])},
            _decoded(pools, MarketRow),
            _decoded(taken, Taken),
            question.wants_pools,
        )

    async def take_due(self, connection: Connection, held: int) -> Taken | None:
        """What is due of the slots that are over; None while somebody else is at it."""
        ((taken,),) = await _TAKE_DUE.rows(connection, self._seed, held, MOST_AT_ONCE, row=tuple)
        return _decoded(taken, Taken)

    async def land(
        self, connection: Connection, version: int, exchange: Exchange, landings: Mapping[str, Landing]
    ) -> bool:
        """Whether it was written; not, where the market has moved on since that version."""
        pools = [write_pool(pool_id, exchange.pools[pool_id]) for pool_id in sorted(exchange.changed)]
        landed = [Landed(signature, *landing) for signature, landing in landings.items()]
        written = [_ENCODER.encode(part).decode() for part in (exchange.opening, pools, landed)]
        parameters = (self._seed, version, exchange.slot, *written)
        ((is_written,),) = await _LAND.rows(connection, *parameters, row=tuple)
        return bool(is_written)

    def exchange(self, row: MarketRow) -> Exchange:
        """The market as the row has it, with all the pools that are listed."""
        assert row.pools is not None
        pools = {written.id: read_pool(written) for written in row.pools if written.id in LISTINGS}
        opening = {pool_id: prices for pool_id, prices in row.opening.items() if pool_id in LISTINGS}
        exchange = Exchange(self._market, row.slot, pools, opening)
        exchange.open_new()
        return exchange


def _decoded(text: str | None, kind: type[Decoded]) -> Decoded | None:
    return None if text is None else msgspec.json.decode(text, type=kind)

"""What a route is made of: the pools that it may use, and the plan that says how much goes through which."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from app.orders.tokens import Token
from app.venues.pools.quote import Pool


class PoolKind(StrEnum):
    CPMM = "cpmm"
    AMM_V4 = "amm_v4"
    CLMM = "clmm"
    DLMM = "dlmm"
    DAMM_V2 = "damm_v2"


class RoutedPool(msgspec.Struct, frozen=True):
    """A pool as a router sees it; its id is unique over all venues.

    Token A is the state's token A, token 0, X or base. `at` is the time that the pool's fees are computed for, in the
    unit that the pool counts in: see `Pool`.
    """

    id: str
    venue: str
    kind: PoolKind
    token_a: Token
    token_b: Token
    state: Pool
    at: int = 0

    def leads(self, token_in: Token, token_out: Token) -> bool:
        """Whether it exchanges the one for the other."""
        pair = (self.token_a, self.token_b)
        return pair in {(token_in, token_out), (token_out, token_in)}


class Leg(msgspec.Struct, frozen=True, rename="camel"):
    """One swap in one pool; the fees are part of `amount_in` and withheld from `amount_out`, base units of each."""

    pool: str
    venue: str
    token_in: Token
    token_out: Token
    amount_in: int
    amount_out: int
    fee_in: int
    fee_out: int


class SinglePool(msgspec.Struct, frozen=True, rename="camel"):
    """What one pool alone would have given for the whole amount."""

    pool: str
    venue: str
    amount_out: int


class Plan(msgspec.Struct, frozen=True, rename="camel"):
    """A route as one transaction: every leg lands or none, and one `min_out` guards the sum.

    Legs from `token_in` add up to `amount_in`; of a token in between, exactly what legs bring is sold by later legs.
    No pool is in two legs, so each is quoted on the state that it meets, and legs are in an order that can be executed.
    `amount_out` is what arrives, `cost` what the legs beyond the first cost, in base units of the token bought.
    """

    token_in: Token
    token_out: Token
    amount_in: int
    amount_out: int
    cost: int
    legs: tuple[Leg, ...]
    best_single: SinglePool | None

    @property
    def net_out(self) -> int:
        """What the route is worth: its output less the cost of its legs."""
        return self.amount_out - self.cost

    @property
    def saving(self) -> int:
        """Base units by which the route is worth more than the best single pool; 0 where no pool could do it alone."""
        return self.net_out - self.best_single.amount_out if self.best_single is not None else 0

"""The pools that exist: on which venue, of which kind and pair, at what fee, and how deep."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from app.orders.tokens import BONK, JUP, RAY, SOL, USDC, USDT, Token
from app.venues.routing.plan import PoolKind
from app.venues.simulated import base58

VENUES: Final = ("raydium", "meteora")


_VENUE_OF: Final = {
    PoolKind.CPMM: "raydium",
    PoolKind.AMM_V4: "raydium",
    PoolKind.CLMM: "raydium",
    PoolKind.DLMM: "meteora",
    PoolKind.DAMM_V2: "meteora",
}


class Listing(msgspec.Struct, frozen=True):
    """A pool before anybody traded in it.

    `fee` in millionths of a swap, `depth` in USD on either side; its makers stand within `width` basis points of the
    price (0: at every price) at steps of `step`, which is the tick spacing or, in basis points, the bin step.
    """

    kind: PoolKind
    token_a: Token
    token_b: Token
    fee: int
    depth: int
    width: int = 0
    step: int = 0

    @property
    def venue(self) -> str:
        return _VENUE_OF[self.kind]

    @property
    def fee_bps(self) -> int:
        return round(self.fee / 100)

    @property
    def address(self) -> str:
        """Looks like an address on Solana, and is the same under every seed."""
        name = f"{self.kind}:{self.token_a.symbol}:{self.token_b.symbol}:{self.fee}:{self.step}"
        return base58.encode(hashlib.blake2b(name.encode(), digest_size=32).digest())


LISTINGS: Final = {
    listing.address: listing
    for listing in (
        Listing(PoolKind.CLMM, SOL, USDC, 400, 6_000_000, 300, 1),
        Listing(PoolKind.AMM_V4, SOL, USDC, 2_500, 12_000_000),
        Listing(PoolKind.CPMM, SOL, USDC, 2_500, 4_000_000),
        Listing(PoolKind.DLMM, SOL, USDC, 400, 5_000_000, 200, 4),
        Listing(PoolKind.DLMM, SOL, USDC, 1_000, 4_000_000, 400, 10),
        Listing(PoolKind.DAMM_V2, SOL, USDC, 2_500, 6_000_000, 2_000),
        Listing(PoolKind.CLMM, SOL, USDT, 400, 3_000_000, 300, 1),
        Listing(PoolKind.AMM_V4, SOL, USDT, 2_500, 5_000_000),
        Listing(PoolKind.DLMM, SOL, USDT, 400, 3_000_000, 200, 4),
        Listing(PoolKind.DAMM_V2, SOL, USDT, 2_500, 5_000_000, 2_000),
        Listing(PoolKind.CLMM, BONK, SOL, 500, 2_500_000, 600, 10),
        Listing(PoolKind.CPMM, BONK, SOL, 2_500, 3_000_000),
        Listing(PoolKind.DLMM, BONK, SOL, 500, 2_500_000, 400, 10),
        Listing(PoolKind.DAMM_V2, BONK, SOL, 2_500, 3_000_000),
        Listing(PoolKind.CLMM, JUP, USDC, 500, 2_500_000, 600, 10),
        Listing(PoolKind.CPMM, JUP, USDC, 2_500, 3_000_000),
        Listing(PoolKind.DLMM, JUP, USDC, 500, 2_500_000, 400, 10),
        Listing(PoolKind.DAMM_V2, JUP, USDC, 2_500, 3_000_000, 2_000),
        Listing(PoolKind.CLMM, RAY, USDC, 500, 2_500_000, 600, 10),
        Listing(PoolKind.AMM_V4, RAY, USDC, 2_500, 3_000_000),
        Listing(PoolKind.DLMM, RAY, USDC, 500, 2_500_000, 400, 10),
        Listing(PoolKind.DAMM_V2, RAY, USDC, 2_500, 3_000_000, 2_000),
        # Without these two, some pairs would be three hops apart.
        Listing(PoolKind.CLMM, USDC, USDT, 100, 6_000_000, 200, 1),
        Listing(PoolKind.CPMM, USDC, USDT, 2_500, 5_000_000),
        Listing(PoolKind.DLMM, USDC, USDT, 100, 6_000_000, 100, 2),
        Listing(PoolKind.DAMM_V2, USDC, USDT, 100, 5_000_000, 600),
        Listing(PoolKind.CLMM, BONK, USDC, 2_500, 2_000_000, 1_500, 60),
        Listing(PoolKind.CPMM, BONK, USDC, 2_500, 2_000_000),
        Listing(PoolKind.DLMM, BONK, USDC, 2_000, 2_000_000, 800, 20),
        Listing(PoolKind.DAMM_V2, BONK, USDC, 2_500, 2_000_000, 2_000),
    )
}

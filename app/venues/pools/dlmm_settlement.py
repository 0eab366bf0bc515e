"""Who gets what of a swap through a liquidity book, and the bins after it.

What each kind of liquidity does in a bin is `swapExactInQuoteAtBin` and `swapExactOutQuoteAtBin` in `helpers/bin.ts` of
Meteora's @meteora-ag/dlmm (ISC). That library only quotes: the bins after a swap are what its sums leave in them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from app.venues.pools.dlmm_bins import BASIS_POINTS, Bin, amount_in_for, amount_out_for
from app.venues.pools.quote import Fees

if TYPE_CHECKING:
    from app.venues.pools.dlmm_swap import DlmmSwap, Fill

_ORDER_FEE_SHARE: Final = 5_000  # basis points of the fee on a limit order's part that its owner gets


class Part(msgspec.Struct, frozen=True, gc=False):
    """What the liquidity providers, or a kind of limit orders, took in and gave out."""

    taken: int
    given: int


class Settlement(msgspec.Struct, frozen=True, gc=False):
    fees: Fees
    surplus: Fees  # of the output, beyond what an exact output asked for
    bins: tuple[Bin, ...]
    unclaimed: int  # units of the input that are of no bin and nobody's fee


def settle(swap: DlmmSwap) -> Settlement:
    pool, swap_for_y = swap.pool, swap.swap_for_y
    share, has_orders = pool.protocol_share, pool.limit_orders
    bins = list(pool.bins)
    lp = protocol = surplus = unclaimed = 0
    for fill in swap.fills:
        at, net, fee, given = fill.at, fill.net_in, fill.fee, fill.gross_out
        held, provided = bins[at], net
        opened, processed = held.open_order, held.processed_order
        if has_orders and held.is_ask is not swap_for_y:
            parts = _parts(swap, fill)
            provided, given = parts[0].taken, parts[0].given
            shared = _protocol_fee(fill, provided, share)
            opened, processed = _orders_after(held, parts)
        else:  # the providers' alone
            shared = fee * share // BASIS_POINTS
        if fill.surplus == 1:  # a single unit stays in the bin: `swapExactOutQuoteAtBin`
            given -= 1
        else:
            surplus += fill.surplus
        if net:
            lp += fee - shared
            protocol += shared
            unclaimed += net - provided
        else:  # where the fee is all of the input, nobody gets it
            unclaimed += fee
        if swap_for_y:
            bins[at] = Bin(
                held.amount_x + provided, held.amount_y - given, held.price, opened, processed, held.is_ask
            )
        else:
            bins[at] = Bin(
                held.amount_x - given, held.amount_y + provided, held.price, opened, processed, held.is_ask
            )
    return Settlement(Fees(lp=lp, protocol=protocol), Fees(protocol=surplus), tuple(bins), unclaimed)


def _parts(swap: DlmmSwap, fill: Fill) -> list[Part]:
    """What the providers, the processed and the open orders each do, in this order."""
    price = swap.pool.bins[fill.at].price
    left = fill.net_in
    parts = []
    for amount in swap.liquidity(fill.at):
        needed = amount_in_for(amount, price, swap.swap_for_y)
        if left < needed:
            parts.append(Part(left, amount_out_for(left, price, swap.swap_for_y)))
            left = 0
        else:
            parts.append(Part(needed, amount))
            left -= needed
    return parts


def _protocol_fee(fill: Fill, provided: int, protocol_share: int) -> int:
    """What the protocol gets of a fill's fee, `provided` of the input going to providers: `splitFee` in `helpers/fee.ts`."""
    if not fill.net_in:
        return 0
    providers_fee = -(-fill.fee * provided // fill.net_in)
    orders_fee = fill.fee - providers_fee
    protocol = providers_fee * protocol_share // BASIS_POINTS
    return protocol + orders_fee - orders_fee * _ORDER_FEE_SHARE // BASIS_POINTS


def _orders_after(held: Bin, parts: list[Part]) -> tuple[int, int]:
    """Open and processed orders after a fill.

    That open orders become processed ones when they are first touched is how `getLimitOrderStatus` in
    `helpers/limitOrders` reads a bin.
    """
    opened, processed = held.open_order, held.processed_order - parts[1].given
    if parts[2].taken:
        return 0, processed + opened - parts[2].given
    return opened, processed

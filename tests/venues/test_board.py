"""The board: what either venue pays on its own, and what all pools pay together."""

from __future__ import annotations

import itertools
from contextlib import suppress
from uuid import UUID

import pytest

from app.errors import Unfillable
from app.orders.amounts import U64_MAX
from app.orders.model import Quote, Swap
from app.orders.tokens import BONK, JUP, SOL, TOKENS, USDC, USDT, Token
from app.venues.routing.solver import best_route
from app.venues.simulated.board import MARGIN, Board, Desk
from app.venues.simulated.hops import Hops
from app.venues.simulated.landing import Due, Outcome, land
from app.venues.simulated.listings import LISTINGS, VENUES
from app.venues.simulated.market import Market
from app.venues.simulated.transaction import RouteLeg

from .builders import A_SLOT, a_swap, an_exchange

MARKET = Market(0)
EXCHANGE = an_exchange()
BOARD = Board(EXCHANGE)
PAIRS = list(itertools.permutations(TOKENS, 2))


def worth(dollars: int, token_in: Token, token_out: Token) -> Swap:
    return Swap(token_in, token_out, MARKET.units_for(dollars, token_in, A_SLOT))


def legs(quote: Quote) -> list[tuple[str, str, str]]:
    assert quote.route is not None
    return [(leg.venue, leg.token_in.symbol, leg.token_out.symbol) for leg in quote.route.legs]


@pytest.mark.parametrize(("token_in", "token_out"), PAIRS)
@pytest.mark.parametrize("venue", VENUES)
def test_every_pair_is_quoted_near_its_ratio_on_both_venues(
    venue: str, token_in: Token, token_out: Token
) -> None:
    paid = BOARD.quote(venue, worth(100, token_in, token_out)).amount_out
    assert 0.99 < paid / MARKET.units_for(100, token_out, A_SLOT) < 1.005


@pytest.mark.parametrize("venue", VENUES)
def test_a_venue_quotes_with_its_own_pools_alone(venue: str) -> None:
    for token_in, token_out in PAIRS:
        assert {leg[0] for leg in legs(BOARD.quote(venue, worth(100, token_in, token_out)))} == {venue}


def test_a_venue_quotes_the_best_of_its_pools() -> None:
    swap = worth(5_000, SOL, USDC)
    quote = BOARD.quote("raydium", swap)
    direct = [
        EXCHANGE.pools[address].state.amount_out(swap.amount_in, True, EXCHANGE.now)
        for address, listing in LISTINGS.items()
        if listing.venue == "raydium" and (listing.token_a, listing.token_b) == (SOL, USDC)
    ]
    assert BOARD.worth(quote, swap) >= max(direct)
    assert quote.route is not None
    assert quote.route.best_single is not None
    assert quote.route.best_single.amount_out == max(direct)
    assert quote.route.saving == BOARD.worth(quote, swap) - max(direct)


def test_where_no_pool_exchanges_two_tokens_a_venue_goes_over_a_third() -> None:
    quote = BOARD.quote("meteora", worth(100, JUP, BONK))
    assert [leg[1:] for leg in legs(quote)] == [("JUP", "USDC"), ("USDC", "BONK")]
    assert quote.route is not None
    assert (quote.route.best_single, quote.route.saving) == (None, 0)
    assert quote.fee_bps == sum(LISTINGS[leg.pool].fee_bps for leg in quote.route.legs)


@pytest.mark.parametrize(("token_in", "token_out"), PAIRS)
@pytest.mark.parametrize("dollars", [1, 200, 1_000_000])
def test_together_they_never_pay_less_than_either_alone(
    token_in: Token, token_out: Token, dollars: int
) -> None:
    swap = worth(dollars, token_in, token_out)
    alone = [BOARD.quote(venue, swap) for venue in VENUES]
    together = BOARD.best(VENUES, swap)
    assert BOARD.worth(together, swap) >= max(BOARD.worth(quote, swap) for quote in alone)


def test_a_large_order_is_split_over_both_venues_and_named_after_the_largest_leg() -> None:
    swap = worth(2_000_000, SOL, USDC)
    together = BOARD.best(VENUES, swap)
    assert together.route is not None
    assert {leg.venue for leg in together.route.legs} == set(VENUES)
    assert sum(leg.amount_in for leg in together.route.legs if leg.token_in == SOL) == swap.amount_in
    assert sum(leg.amount_out for leg in together.route.legs if leg.token_out == USDC) == together.amount_out
    assert (
        together.venue
        == max(together.route.legs, key=lambda leg: leg.amount_in * (leg.token_in == SOL)).venue
    )
    assert together.route.saving > 0


@pytest.mark.parametrize(("token_in", "token_out"), PAIRS)
@pytest.mark.parametrize("dollars", [1_000_000, 2_000_000, 4_000_000, 8_000_000, 20_000_000])
def test_what_is_too_much_for_one_pool_or_one_venue_is_split_over_all(
    token_in: Token, token_out: Token, dollars: int
) -> None:
    desk, swap = Desk(), worth(dollars, token_in, token_out)
    quotes = asked(desk.board(EXCHANGE), swap)
    if quotes:
        best = best_route(
            Hops(EXCHANGE).pools.values(),
            token_in,
            token_out,
            swap.amount_in,
            leg_cost=BOARD.leg_cost(token_out),
            margin=MARGIN,
        )
        chosen = desk.choose(swap, quotes)
        assert BOARD.worth(chosen, swap) >= best.net_out * (1 - 1e-8) - 2
        assert lands(chosen, swap)
    assert quotes or dollars > 2_000_000


def lands(quote: Quote, swap: Swap) -> bool:
    """Whether the route can be executed after searchers have been there, at 5 % of tolerance."""
    assert quote.route is not None
    route = tuple(RouteLeg(leg.pool, leg.token_in.mint, leg.amount_in) for leg in quote.route.legs)
    mints, least = (swap.token_in.mint, swap.token_out.mint), quote.amount_out * 95 // 100
    exchange = EXCHANGE.copy()
    exchange.roll(EXCHANGE.slot + 1)
    due = Due("signature", UUID(int=1), 1, *mints, swap.amount_in, least, route, exchange.slot)
    return land(exchange, due, failure_rate=0.0).outcome is Outcome.CONFIRMED


def asked(board: Board, swap: Swap) -> list[Quote]:
    """The quotes of the venues that take the amount."""
    quotes = []
    for venue in VENUES:
        with suppress(Unfillable):
            quotes.append(board.quote(venue, swap))
    return quotes


def test_a_venue_that_is_asked_for_too_much_still_takes_a_part() -> None:
    desk, swap = Desk(), worth(8_000_000, SOL, JUP)
    (quote,) = asked(desk.board(EXCHANGE), swap)
    chosen = desk.choose(swap, [quote])
    assert {leg[0] for leg in legs(chosen)} == set(VENUES)
    assert chosen.amount_out > quote.amount_out


def test_a_leg_says_the_part_that_its_fee_takes() -> None:
    quote = BOARD.quote("raydium", worth(1_000, BONK, USDC))
    assert quote.route is not None
    for leg in quote.route.legs:
        assert leg.fee == pytest.approx(LISTINGS[leg.pool].fee / 10**6, rel=1e-3)


@pytest.mark.parametrize("amount_in", [1, U64_MAX])
@pytest.mark.parametrize("venue", VENUES)
def test_amounts_that_no_pool_fills_are_unfillable_however_often_one_asks(venue: str, amount_in: int) -> None:
    for _ in range(2):
        with pytest.raises(Unfillable):
            BOARD.quote(venue, a_swap(BONK, SOL, amount_in))


def test_a_venue_that_did_not_answer_is_left_out_of_the_choice() -> None:
    desk = Desk()
    board = desk.board(EXCHANGE)
    swap = worth(500_000, SOL, USDT)
    chosen = desk.choose(swap, [board.quote("meteora", swap)])
    assert {leg[0] for leg in legs(chosen)} == {"meteora"}
    assert desk.choose(swap, [board.quote(venue, swap) for venue in VENUES]) == board.best(VENUES, swap)


def test_a_quote_from_a_better_slot_stands() -> None:
    desk = Desk()
    board = desk.board(EXCHANGE)
    swap = worth(500, SOL, USDC)
    old = board.quote("meteora", swap)
    better = Quote(old.venue, old.amount_out * 2, old.fee_bps, old.route)
    assert desk.choose(swap, [board.quote("raydium", swap), better]) == better


def test_what_was_computed_is_kept_until_the_pools_change() -> None:
    desk, swap = Desk(), worth(500, SOL, USDC)
    first = desk.board(EXCHANGE).best(VENUES, swap)
    assert desk.board(EXCHANGE).best(VENUES, swap) is first
    assert desk.board(EXCHANGE.copy()).best(VENUES, swap) is not first


@pytest.mark.parametrize("epoch", range(4))
def test_leaving_out_pools_that_cannot_have_a_part_costs_nothing(epoch: int) -> None:
    exchange = an_exchange(A_SLOT + epoch * 317)
    hops, board = Hops(exchange), Board(exchange)
    for number, (token_in, token_out) in enumerate(PAIRS):
        swap = worth(10 ** (number % 6 + 1), token_in, token_out)
        leg_cost = board.leg_cost(token_out)
        among_all = best_route(
            hops.pools.values(), token_in, token_out, swap.amount_in, leg_cost=leg_cost, margin=MARGIN
        )
        prospects = hops.prospects(VENUES, swap)
        assert len(prospects) < len(hops.pools)
        assert board.worth(board.best(VENUES, swap), swap) >= among_all.net_out - 2
        if among_all.best_single is not None:
            assert among_all.best_single.pool in {pool.id for pool in prospects}


def test_a_quote_stands_where_the_pools_have_changed_so_that_no_route_is_left() -> None:
    desk, swap = Desk(), worth(10**9, SOL, USDC)
    desk.board(EXCHANGE)
    with pytest.raises(Unfillable):
        desk.board(EXCHANGE).quote("raydium", swap)
    quote = Quote("raydium", 1, 25)
    assert desk.choose(swap, [quote]) == quote

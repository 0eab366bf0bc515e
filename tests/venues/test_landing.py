"""What becomes of a transaction: the distribution that is promised, and its edges."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from app.orders.amounts import min_amount_out
from app.orders.failures import FailureCode
from app.orders.model import Swap
from app.orders.tokens import BONK, JUP, TOKENS, USDC, USDT, Token
from app.settings import Settings
from app.venues.simulated.board import Board, Desk
from app.venues.simulated.exchange import Exchange
from app.venues.simulated.genesis import EPOCH_SLOTS
from app.venues.simulated.landing import (
    LEAST_WORSE,
    MOST_WORSE,
    Landing,
    Outcome,
    execute,
    is_executable,
    land,
    trade_ahead,
)
from app.venues.simulated.listings import LISTINGS, VENUES
from app.venues.simulated.market import MILLION, SLOT_MS, Market
from app.venues.simulated.transaction import RouteLeg

from .builders import A_SLOT, a_due, a_message, a_pool, a_swap, an_exchange

MARKET = Market(0)
EPOCH = A_SLOT // EPOCH_SLOTS * EPOCH_SLOTS
ORDERS = 240
PAIRS = list(itertools.permutations(TOKENS, 2))
SLIPPAGE = Landing(Outcome.FAILED, failure_code=FailureCode.SLIPPAGE_EXCEEDED)
NOT_EXECUTED = Landing(Outcome.FAILED, failure_code=FailureCode.EXECUTION_FAILED)


def landed(bps: int, delay_ms: int) -> list[Landing]:
    """Orders of 1 to 10,000 USD over all pairs, each alone: routed as the engine does it, landed after the delay."""
    chance = random.Random(bps * 31 + delay_ms)
    landings = []
    for number in range(ORDERS):
        token_in, token_out = PAIRS[number % len(PAIRS)]
        exchange = an_exchange(EPOCH + chance.randrange(4_000) * EPOCH_SLOTS + chance.randrange(64))
        amount = MARKET.units_for(1000, token_in, exchange.slot) * int(10 ** chance.uniform(0, 4)) // 1000
        swap = Swap(token_in, token_out, amount)
        minimum, legs = a_route(exchange, swap, bps)
        exchange.roll(exchange.slot + 1 + delay_ms // SLOT_MS)
        landings.append(land(exchange, a_due(swap, legs, min_out=minimum), failure_rate=0))
    return landings


def a_route(exchange: Exchange, swap: Swap, bps: int = 100) -> tuple[int, tuple[RouteLeg, ...]]:
    """What the engine would put into a transaction: its minimum, and its legs."""
    desk = Desk()
    board = desk.board(exchange.copy())
    quote = desk.choose(swap, [board.quote(venue, swap) for venue in VENUES])
    assert quote.route is not None
    legs = tuple(RouteLeg(leg.pool, leg.token_in.mint, leg.amount_in) for leg in quote.route.legs)
    return min_amount_out(quote.amount_out, bps), legs


@pytest.mark.parametrize("delay_ms", [0, Settings().mock_dex_execution_delay_ms])
def test_one_basis_point_of_tolerance_fails_nine_times_in_ten(delay_ms: int) -> None:
    assert landed(1, delay_ms).count(SLIPPAGE) >= 0.9 * ORDERS


@pytest.mark.parametrize("delay_ms", [0, Settings().mock_dex_execution_delay_ms])
def test_a_hundred_basis_points_of_tolerance_confirm(delay_ms: int) -> None:
    confirmed = [landing for landing in landed(100, delay_ms) if landing.outcome is Outcome.CONFIRMED]
    assert len(confirmed) >= 0.99 * ORDERS


@pytest.mark.parametrize("delay_ms", [0, Settings().mock_dex_execution_delay_ms])
def test_the_default_tolerance_practically_always_confirms(delay_ms: int) -> None:
    default = landed(Settings().default_slippage_bps, delay_ms)
    confirmed = [landing for landing in default if landing.outcome is Outcome.CONFIRMED]
    assert len(confirmed) >= 0.98 * ORDERS


@pytest.mark.parametrize("epoch", range(12))
@pytest.mark.parametrize(("bps", "least", "most"), [(1, 0, 20), (100, 194, 200)])
def test_so_it_is_for_two_hundred_orders_in_one_slot(bps: int, least: int, most: int, epoch: int) -> None:
    exchange = an_exchange(EPOCH + epoch * EPOCH_SLOTS)
    swap = a_swap()
    minimum, legs = a_route(exchange, swap, bps)
    exchange.roll(exchange.slot + 6)
    landings = [land(exchange, a_due(swap, legs, min_out=minimum), failure_rate=0) for _ in range(200)]
    assert least <= sum(landing.outcome is Outcome.CONFIRMED for landing in landings) <= most


@pytest.mark.parametrize("pool", LISTINGS)
def test_execution_is_a_little_worse_than_the_pool_in_either_direction(pool: str) -> None:
    listing = LISTINGS[pool]
    lost = []
    for token_in, token_out in itertools.permutations((listing.token_a, listing.token_b)):
        exchange = an_exchange()
        amount = MARKET.units_for(100, token_in, A_SLOT)
        pays = exchange.pools[pool].state.amount_out(amount, token_in == listing.token_a, exchange.now)
        swap = Swap(token_in, token_out, amount)
        paid = land(exchange, a_due(swap, pool=pool), failure_rate=0).amount_out
        assert paid is not None
        lost.append((pays - paid) / pays * MILLION)
    coarse = 100 * listing.step if listing.kind == "dlmm" else 0
    assert min(lost) >= LEAST_WORSE - 10
    assert max(lost) <= MOST_WORSE + coarse + 400


def test_paying_exactly_the_minimum_is_enough_and_one_unit_less_is_not() -> None:
    for token_in, token_out in PAIRS:
        exchange = an_exchange()
        swap = Swap(token_in, token_out, MARKET.units_for(5_000, token_in, A_SLOT))
        due = a_due(swap, a_route(exchange, swap)[1], min_out=0)
        pays = land(exchange.copy(), due, failure_rate=0).amount_out
        assert pays is not None
        enough = land(exchange.copy(), replace(due, min_out=pays), failure_rate=0)
        assert enough == Landing(Outcome.CONFIRMED, pays)
        assert land(exchange.copy(), replace(due, min_out=pays + 1), failure_rate=0) == SLIPPAGE


@pytest.mark.parametrize(
    ("min_out", "dollars", "outcome"), [(2**63, 1_000, SLIPPAGE), (0, 4_000_000, NOT_EXECUTED)]
)
def test_what_fails_leaves_nothing_but_what_searchers_did(
    min_out: int, dollars: int, outcome: Landing
) -> None:
    """Neither legs that pay too little nor one that is too much for its pool, after one that was not."""
    small, large = (MARKET.units_for(amount, USDC, A_SLOT) for amount in (1_000, dollars))
    swap = Swap(USDC, BONK, small + large)
    pools = [a_pool(swap, kind) for kind in ("cpmm", "dlmm")]
    legs = (RouteLeg(pools[0], USDC.mint, small), RouteLeg(pools[1], USDC.mint, large))
    exchange, due = an_exchange(), a_due(swap, legs, min_out=min_out)
    searched = exchange.copy()
    trade_ahead(searched, due)
    assert land(exchange, due, failure_rate=0) == outcome
    assert exchange.pools == searched.pools


def test_a_failed_execution_moves_nothing_at_all() -> None:
    exchange = an_exchange()
    before = dict(exchange.pools)
    assert land(exchange, a_due(), failure_rate=1) == NOT_EXECUTED
    assert exchange.pools == before


@given(st.integers(-300, 300), st.integers(1, 5_000))
def test_what_goes_on_to_the_second_hop_is_what_the_first_brought(shift: int, dollars: int) -> None:
    """Planned for other prices, every unit is sold on, and no unit comes from nowhere."""
    exchange = an_exchange()
    swap = Swap(USDT, JUP, MARKET.units_for(dollars, USDT, A_SLOT))
    first = [pool for pool, each in LISTINGS.items() if (each.token_a, each.token_b) == (USDC, USDT)][:2]
    second = [pool for pool, each in LISTINGS.items() if (each.token_a, each.token_b) == (JUP, USDC)][:3]
    part = swap.amount_in * (1000 + shift) // 4000
    legs = (
        RouteLeg(first[0], USDT.mint, part),
        RouteLeg(first[1], USDT.mint, swap.amount_in - part),
        *(RouteLeg(pool, USDC.mint, 1_000 + number * (1_000 + shift)) for number, pool in enumerate(second)),
    )
    before = {pool: row.balance_a for pool, row in exchange.pools.items()}
    held = {pool: row.balance_b for pool, row in exchange.pools.items()}
    swapped = exchange.copy()
    paid = execute(swapped, a_due(swap, legs, min_out=0))
    after = swapped.pools
    assert sum(held[pool] - after[pool].balance_b for pool in first) == -swap.amount_in
    brought = sum(before[pool] - after[pool].balance_a for pool in first)
    assert sum(after[pool].balance_b - held[pool] for pool in second) == brought
    assert sum(before[pool] - after[pool].balance_a for pool in second) == paid


def test_the_failure_rate_is_the_share_of_attempts_that_fail() -> None:
    exchange = an_exchange()
    failed = [
        land(exchange, a_due(min_out=0, attempt=attempt), 0.05).failure_code
        for attempt in (1, 2, 3)
        for _ in range(1_000)
    ]
    assert 90 < failed.count(FailureCode.EXECUTION_FAILED) < 220


def test_an_attempt_that_fails_says_nothing_of_the_next() -> None:
    exchange, due = an_exchange(), a_due(min_out=0)
    landings = [land(exchange, replace(due, attempt=attempt), 0.5) for attempt in range(1, 40)]
    assert {landing.outcome for landing in landings} == {Outcome.CONFIRMED, Outcome.FAILED}


def test_a_pool_that_became_too_small_fails_the_execution() -> None:
    swap = a_swap(amount_in=2**63)
    assert land(an_exchange(), a_due(swap, pool=a_pool(swap, "dlmm")), failure_rate=0) == NOT_EXECUTED


def test_a_pool_that_is_not_listed_any_more_fails_the_execution() -> None:
    assert land(an_exchange(), a_due(pool="delisted"), failure_rate=0) == NOT_EXECUTED


@pytest.mark.parametrize(("token_in", "token_out"), PAIRS)
def test_every_route_that_is_planned_can_be_executed(token_in: Token, token_out: Token) -> None:
    exchange = an_exchange()
    for dollars in (1, 10_000, 1_000_000):
        swap = Swap(token_in, token_out, MARKET.units_for(dollars, token_in, A_SLOT))
        minimum, legs = a_route(exchange, swap, 1_000)
        assert is_executable(replace(a_message(swap=swap, pool="?"), route=legs))
        assert land(exchange.copy(), a_due(swap, legs, min_out=minimum), 0).outcome is Outcome.CONFIRMED


def test_without_searchers_a_route_pays_exactly_what_was_planned() -> None:
    exchange = an_exchange()
    for (token_in, token_out), venue in itertools.product(PAIRS, [("raydium",), ("meteora",), VENUES]):
        swap = Swap(token_in, token_out, MARKET.units_for(50_000, token_in, A_SLOT))
        quote = Board(exchange).best(venue, swap)
        assert quote.route is not None
        legs = tuple(RouteLeg(leg.pool, leg.token_in.mint, leg.amount_in) for leg in quote.route.legs)
        assert execute(exchange.copy(), a_due(swap, legs)) == quote.amount_out

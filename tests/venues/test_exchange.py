"""The exchange: pools that are real to the last unit, and a life of their own that depends on the slot alone."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.orders.tokens import BONK, JUP, RAY, SOL, USDC, USDT, Token
from app.venues.pools.quote import PoolError
from app.venues.simulated.exchange import TICK_SLOTS, Exchange
from app.venues.simulated.genesis import EPOCH_SLOTS, STRAY_MILLIONTHS, stray_of
from app.venues.simulated.listings import LISTINGS, VENUES
from app.venues.simulated.market import MILLION, Market
from app.venues.simulated.pool_rows import ReadPool, read_pool, write_pool

from .builders import A_SLOT, an_exchange

MARKET = Market(0)
EPOCH = A_SLOT // EPOCH_SLOTS * EPOCH_SLOTS
TRADES = st.lists(
    st.tuples(st.sampled_from(sorted(LISTINGS)), st.integers(1, 50_000), st.booleans(), st.integers(0, 40)),
    max_size=12,
)


def trade(exchange: Exchange, trades: list[tuple[str, int, bool, int]]) -> Counter[str]:
    """Sells so many dollars in each pool, after so many slots; what the pools should hold more of each token."""
    held: Counter[str] = Counter()
    for pool_id, dollars, a_to_b, wait in trades:
        exchange.roll(exchange.slot + wait)
        listing = LISTINGS[pool_id]
        sold, bought = (listing.token_a, listing.token_b) if a_to_b else (listing.token_b, listing.token_a)
        amount = MARKET.units_for(dollars, sold, exchange.slot)
        exchange.enter(pool_id)
        held[sold.symbol] += amount
        held[bought.symbol] -= exchange.swap(pool_id, amount, a_to_b)
    return held


def vaults(exchange: Exchange) -> Counter[str]:
    held: Counter[str] = Counter()
    for pool_id, row in exchange.pools.items():
        held[LISTINGS[pool_id].token_a.symbol] += row.balance_a
        held[LISTINGS[pool_id].token_b.symbol] += row.balance_b
    return held


def owed(state: Any) -> tuple[int, int]:
    """What a pool's makers could take out of it, without fees that are not in its curve."""
    fields = msgspec.structs.asdict(state)
    if "bins" in fields:
        return sum(held.amount_x for held in state.bins), sum(held.amount_y for held in state.bins)
    for names in (("reserve_a", "reserve_b"), ("token_a_amount", "token_b_amount")):
        if names[0] in fields:
            return fields[names[0]], fields[names[1]]
    return 0, 0


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("pair", [(SOL, USDC), (SOL, USDT), (BONK, SOL), (JUP, USDC), (RAY, USDC)])
def test_every_pair_has_two_pools_or_more_on_either_venue(venue: str, pair: tuple[Token, Token]) -> None:
    listed = [
        each for each in LISTINGS.values() if each.venue == venue and (each.token_a, each.token_b) == pair
    ]
    assert len(listed) >= 2


def test_every_pool_has_an_address_of_its_own() -> None:
    assert len(LISTINGS) == 30
    assert all(43 <= len(address) <= 44 for address in LISTINGS)


@settings(max_examples=50)
@given(st.integers(0, 3 * EPOCH_SLOTS), st.lists(st.integers(0, 3 * EPOCH_SLOTS), max_size=6))
def test_catching_up_equals_going_step_by_step(end: int, stops: list[int]) -> None:
    straight, by_steps = Exchange(MARKET), Exchange(MARKET)
    straight.roll(EPOCH + end)
    for stop in sorted(stop for stop in stops if stop < end):
        by_steps.roll(EPOCH + stop)
    by_steps.roll(EPOCH + end)
    assert by_steps.pools == straight.pools


@settings(max_examples=50)
@given(TRADES, st.lists(st.integers(1, EPOCH_SLOTS), max_size=4))
def test_so_it_does_after_trades_whoever_looks_in_between(
    trades: list[tuple[str, int, bool, int]], looks: list[int]
) -> None:
    straight, looked_at = an_exchange(EPOCH + 5), an_exchange(EPOCH + 5)
    for exchange in (straight, looked_at):
        trade(exchange, trades)
    end = straight.slot + EPOCH_SLOTS + 1
    for slot in sorted(looks):
        looked_at.roll(looked_at.slot + 1 if slot % 2 else min(end, looked_at.slot + slot))
    straight.roll(end)
    looked_at.roll(end)
    assert looked_at.pools == straight.pools


def test_an_idle_year_costs_an_epoch() -> None:
    class Counting(Exchange):
        ticks = 0

        def _trade_without_reason(self) -> None:
            self.ticks += 1
            super()._trade_without_reason()

    exchange = Counting(MARKET)
    exchange.roll(EPOCH)
    exchange.roll(EPOCH + 75_000 * EPOCH_SLOTS + EPOCH_SLOTS - 1)
    assert exchange.ticks == EPOCH_SLOTS // TICK_SLOTS - 1


@given(TRADES)
def test_trades_conserve_tokens_and_no_pool_owes_more_than_it_has(
    trades: list[tuple[str, int, bool, int]],
) -> None:
    exchange = an_exchange(EPOCH)
    before = vaults(exchange)
    held = trade(exchange, [(pool_id, dollars, a_to_b, 0) for pool_id, dollars, a_to_b, _ in trades])
    assert {
        token: more - before[token] - held[token] for token, more in vaults(exchange).items()
    } == dict.fromkeys(before, 0)
    for row in exchange.pools.values():
        owed_a, owed_b = owed(row.state)
        assert owed_a <= row.balance_a
        assert owed_b <= row.balance_b


@given(TRADES)
def test_a_pool_that_was_written_reads_back_and_trades_on(trades: list[tuple[str, int, bool, int]]) -> None:
    exchange = an_exchange(EPOCH)
    trade(exchange, trades)
    for pool_id, row in exchange.pools.items():
        written = write_pool(pool_id, row)
        state = msgspec.json.decode(msgspec.json.encode(written.state))
        assert read_pool(ReadPool(pool_id, state, row.balance_a, row.balance_b, row.slot)) == row


def test_a_trade_that_a_pool_refuses_changes_nothing() -> None:
    exchange = an_exchange().copy()
    before = dict(exchange.pools)
    for pool_id, a_to_b in itertools.product(LISTINGS, (True, False)):
        with pytest.raises(PoolError):
            exchange.swap(pool_id, 0, a_to_b)
    assert exchange.pools == before
    assert exchange.changed == set()


def test_prices_stay_near_the_fair_one_all_the_time() -> None:
    exchange = Exchange(MARKET)
    for slot in range(EPOCH, EPOCH + EPOCH_SLOTS, 2 * TICK_SLOTS):
        exchange.roll(slot)
        for pool_id, listing in LISTINGS.items():
            fair = MARKET.sqrt_price(listing.token_a, listing.token_b, slot)
            stray = abs((exchange.price(pool_id) / fair) ** 2 - 1) * MILLION
            assert stray <= stray_of(listing) + 100 * listing.step * (listing.kind == "dlmm") + 2, (
                slot,
                listing,
            )


def test_the_pools_of_a_pair_have_lives_of_their_own() -> None:
    """Else nobody would have to look for the best one."""
    exchange = Exchange(MARKET)
    pools = [
        address for address, listing in LISTINGS.items() if {listing.token_a, listing.token_b} == {SOL, USDC}
    ]
    cheapest = set()
    for slot in range(EPOCH, EPOCH + 20 * EPOCH_SLOTS, 7 * TICK_SLOTS):
        exchange.roll(slot)
        amount = MARKET.units_for(1_000, SOL, slot)
        paid = {pool: exchange.pools[pool].state.amount_out(amount, True, exchange.now) for pool in pools}
        cheapest.add(LISTINGS[max(paid, key=lambda pool: paid[pool])].venue)
    assert cheapest == set(VENUES)


@pytest.mark.parametrize("a_to_b", [True, False])
def test_after_a_slot_with_a_large_trade_arbitrageurs_bring_the_price_back(a_to_b: bool) -> None:
    exchange = an_exchange(EPOCH + 1)
    [pool_id] = [
        each for each, listing in LISTINGS.items() if (listing.kind, listing.token_b) == ("amm_v4", USDT)
    ]
    trade(exchange, [(pool_id, 500_000, a_to_b, 0)])
    exchange.roll(EPOCH + 2)
    fair = MARKET.sqrt_price(SOL, USDT, EPOCH + 1)
    assert abs((exchange.price(pool_id) / fair) ** 2 - 1) * MILLION <= STRAY_MILLIONTHS + 2

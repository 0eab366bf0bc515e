"""The market: one for every process, and consistent in itself."""

from __future__ import annotations

import itertools
import math
import os
import statistics
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from app.orders.tokens import SOL, TOKENS, USDC, USDT, Token
from app.venues.simulated.draws import Draws
from app.venues.simulated.market import ASSETS, PICO, Market
from app.venues.simulated.walk import EPOCH_SLOTS, walk

from .builders import A_SLOT, ROOT

MARKET = Market(0)
EPOCH_START = A_SLOT - A_SLOT % EPOCH_SLOTS

slots = st.integers(min_value=0, max_value=2**34)
tokens = st.sampled_from(TOKENS)

PRINT_A_MARKET = """
from app.orders.tokens import TOKENS
from app.venues.simulated.exchange import Exchange
from app.venues.simulated.market import Market
market = Market(42)
print([market.mid(token, slot) for token in TOKENS for slot in range(4475000000, 4475000020)])
exchange = Exchange(market)
exchange.roll(4475000123)
print(exchange.pools)
"""


def a_market_printed_elsewhere(hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-c", PRINT_A_MARKET]
    return subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    ).stdout


def test_every_process_sees_the_same_market() -> None:
    here = Market(42)
    seen = a_market_printed_elsewhere("1")
    assert seen == a_market_printed_elsewhere("2")
    mids = [here.mid(token, slot) for token in TOKENS for slot in range(4475000000, 4475000020)]
    assert seen.splitlines()[0] == str(mids)


def test_another_seed_is_another_market() -> None:
    assert Market(1).mid(SOL, A_SLOT) != Market(2).mid(SOL, A_SLOT)


@given(slots)
def test_a_slot_has_one_price_however_one_comes_to_it(slot: int) -> None:
    fresh = Market(0)
    fresh.mid(SOL, slot + 1)
    fresh.mid(SOL, slot - 1)
    assert fresh.mid(SOL, slot) == MARKET.mid(SOL, slot)


@given(tokens, slots)
def test_prices_stay_within_reach_of_their_base(token: Token, slot: int) -> None:
    base = next(asset.base_price for asset in ASSETS if asset.token is token)
    assert base / 8 < MARKET.mid(token, slot) < base * 8


@given(slots)
def test_stablecoins_stay_within_two_percent_of_a_dollar(slot: int) -> None:
    assert all(abs(MARKET.mid(token, slot) - PICO) < PICO // 50 for token in (USDC, USDT))


def test_the_walk_moves_by_one_standard_deviation_per_slot() -> None:
    values = [walk(Draws(0), "walk", EPOCH_START + 12_345 + i) for i in range(3_000)]
    steps = [after - before for before, after in itertools.pairwise(values)]
    assert 0.9 < statistics.stdev(steps) < 1.1
    assert abs(statistics.fmean(steps)) < 0.1
    # Steps are independent: over a hundred slots the spread is ten times as wide.
    leaps = [values[i + 100] - values[i] for i in range(0, 2_900, 50)]
    assert 6 < statistics.stdev(leaps) < 14


def test_the_walk_has_no_jump_at_the_edge_of_an_epoch() -> None:
    values = [walk(Draws(0), "walk", EPOCH_START + i) for i in range(-20, 21)]
    assert max(abs(after - before) for before, after in itertools.pairwise(values)) < 6


@given(st.permutations(TOKENS), slots)
def test_triangles_agree(order: list[Token], slot: int) -> None:
    """Changing A → B → C at the fair prices is changing A → C."""
    a, b, c = order[:3]
    one, other, straight = (MARKET.sqrt_price(*pair, slot) / 2**64 for pair in ((a, b), (b, c), (a, c)))
    assert math.isclose(one * other, straight, rel_tol=1e-9)


def test_the_fair_price_is_in_base_units() -> None:
    """165 USD for 10⁹ lamports, in millionths of a dollar."""
    fair = (MARKET.sqrt_price(SOL, USDC, A_SLOT) / 2**64) ** 2
    assert math.isclose(fair, MARKET.mid(SOL, A_SLOT) / MARKET.mid(USDC, A_SLOT) / 1000, rel_tol=1e-9)


def test_what_was_computed_is_kept_but_not_for_ever() -> None:
    market = Market(0)
    for slot in range(3_000):
        market.mid(SOL, slot)
    hit = market.mid.cache_info().hits
    market.mid(SOL, 2_999)
    assert market.mid.cache_info().hits == hit + 1
    assert market.mid.cache_info().currsize < 3_000

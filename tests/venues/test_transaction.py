"""The transaction: its bytes, its signature, and whether it makes sense."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from app.orders.tokens import BONK, SOL, USDC
from app.venues.simulated import base58
from app.venues.simulated.landing import is_executable
from app.venues.simulated.transaction import RouteLeg, read, sign

from .builders import a_message, a_pool, a_swap

SOL_USDC, BONK_SOL = a_pool(a_swap()), a_pool(a_swap(BONK, SOL))


@pytest.mark.parametrize(
    "wrong",
    [
        {"venue": "orca"},
        {"mint_in": "SOLANA"},
        {"mint_out": USDC.mint.lower()},
        {"mint_in": USDC.mint},
        {"route": ()},
        {"route": (RouteLeg("nowhere", SOL.mint, 1_250_000_000),)},
        {"route": (RouteLeg(BONK_SOL, SOL.mint, 1_250_000_000),)},
        {"route": (RouteLeg(SOL_USDC, SOL.mint, 1_250_000_001),)},
        {"route": (RouteLeg(SOL_USDC, USDC.mint, 1_250_000_000),)},
        {"route": (RouteLeg(SOL_USDC, SOL.mint, 1_249_999_999), RouteLeg(BONK_SOL, BONK.mint, 1))},
        {"route": (RouteLeg(SOL_USDC, SOL.mint, 1_250_000_000), RouteLeg(SOL_USDC, USDC.mint, 1))},
        {"route": (RouteLeg(BONK_SOL, SOL.mint, 1), RouteLeg(SOL_USDC, SOL.mint, 1_249_999_999))},
    ],
)
def test_what_no_venue_can_execute_is_told_apart(wrong: dict[str, str]) -> None:
    message = a_message()
    assert is_executable(message)
    assert not is_executable(replace(message, **wrong))


def test_the_same_message_has_the_same_bytes_and_signature() -> None:
    message = a_message()
    assert sign(message) == sign(replace(message))


def test_whatever_differs_in_a_message_changes_its_signature() -> None:
    message = a_message()
    changes = {
        "seed": "1",
        "attempt": 2,
        "min_out": 2,
        "last_valid_height": 7,
        "venue": "meteora",
        "route": (),
    }
    signatures = {sign(replace(message, **{name: value})).signature for name, value in changes.items()}
    assert len(signatures | {sign(message).signature}) == len(changes) + 1


@given(st.integers(min_value=1, max_value=2**64 - 1))
def test_a_signature_looks_like_one_of_solana_and_the_bytes_read_back(amount_in: int) -> None:
    message = a_message(swap=a_swap(amount_in=amount_in))
    transaction = sign(message)
    assert len(transaction.signature) in {87, 88}
    assert set(transaction.signature) <= set(base58.ALPHABET)
    assert read(transaction) == message


def test_bytes_that_are_not_the_signatures_own_say_nothing() -> None:
    transaction = sign(a_message())
    assert read(replace(transaction, raw=transaction.raw.replace(b"raydium", b"meteora"))) is None
    assert read(replace(transaction, raw=b"")) is None


def test_base58_agrees_with_published_vectors() -> None:
    """From the Internet-Draft draft-msporny-base58-03, section 5."""
    assert base58.encode(b"Hello World!") == "2NEpo7TZRRrLZSi2U"
    assert base58.encode(bytes.fromhex("0000287fb4cd")) == "11233QC4"

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.orders.amounts import (
    BPS,
    U64_MAX,
    InvalidAmount,
    json_number,
    min_amount_out,
    parse_amount,
    price,
    whole_tokens,
)
from app.orders.tokens import BONK, SOL, TOKENS, USDC, Token

tokens = st.sampled_from(TOKENS)
base_units = st.integers(1, U64_MAX)


@pytest.mark.parametrize(
    ("literal", "token", "expected"),
    [
        ("1.25", SOL, 1_250_000_000),
        ("0.1", SOL, 100_000_000),  # as a float it would be 0.1000000000000000055…
        ("0.000000001", SOL, 1),
        ("1e-9", SOL, 1),
        ("1E+3", USDC, 1_000_000_000),
        ("1.50", USDC, 1_500_000),
        ("0.00001", BONK, 1),
        ("18446744073.709551615", SOL, U64_MAX),
        ("18446744073709.551615", USDC, U64_MAX),
        ("184467440737095.51615", BONK, U64_MAX),
        ("9007199254740993e-6", USDC, 9_007_199_254_740_993),  # past what a float can count
    ],
)
def test_an_amount_is_exact_from_its_literal(literal: str, token: Token, expected: int) -> None:
    assert parse_amount(literal, token) == expected


@pytest.mark.parametrize(
    ("literal", "reason"),
    [
        ("NaN", "must be a decimal number"),
        ("Infinity", "must be a decimal number"),
        ("-Infinity", "must be a decimal number"),
        ("sNaN", "must be a decimal number"),
        ("", "must be a decimal number"),
        (" 1", "must be a decimal number"),
        ("1\n", "must be a decimal number"),
        ("+1", "must be a decimal number"),
        ("01", "must be a decimal number"),
        ("1.", "must be a decimal number"),
        (".5", "must be a decimal number"),
        ("1_000", "must be a decimal number"),
        ("1,5", "must be a decimal number"),
        ("0x10", "must be a decimal number"),
        ("١", "must be a decimal number"),  # Arabic-Indic one: a digit to str.isdigit and to Decimal
        ("１", "must be a decimal number"),  # full-width one
        ("1\x00", "must be a decimal number"),
        ("\ud800", "must be a decimal number"),
        ("0", "must be greater than zero"),
        ("-0", "must be greater than zero"),
        ("0e5", "must be greater than zero"),
        ("0.000000000000000000000", "must be greater than zero"),
        ("-1", "must be greater than zero"),
        ("-1e400", "must be greater than zero"),
        ("1e400", "is too large"),
        ("1e131072", "is too large"),
        ("1e999999999999999999", "is too large"),  # as digits it would fill the memory
        ("18446744073.709551616", "is too large"),
        ("1" + "0" * 100_000, "is too large"),
        ("1e99999999999999999999", "is out of range"),
        ("1e-99999999999999999999", "is out of range"),
        ("0.123456789012345678901", "must have at most 9 decimals for SOL"),
        ("0.0000000001", "must have at most 9 decimals for SOL"),
        ("1e-400", "must have at most 9 decimals for SOL"),
    ],
)
def test_what_is_no_amount_is_refused_with_the_reason(literal: str, reason: str) -> None:
    with pytest.raises(InvalidAmount, match=f"^{reason}$"):
        parse_amount(literal, SOL)


@given(base_units, tokens)
@example(U64_MAX, SOL)
def test_base_units_survive_the_way_to_json_and_back(units: int, token: Token) -> None:
    literal = bytes(json_number(whole_tokens(units, token))).decode()

    assert "e" not in literal.lower()
    assert parse_amount(literal, token) == units


@given(base_units, tokens)
def test_an_exponent_says_the_same_amount(units: int, token: Token) -> None:
    assert parse_amount(f"{units}e-{token.decimals}", token) == units


@given(st.from_regex(r"-?[0-9]{1,25}(\.[0-9]{1,12})?([eE][+-]?[0-9]{1,3})?", fullmatch=True), tokens)
def test_an_amount_is_refused_or_equal_to_its_literal(literal: str, token: Token) -> None:
    try:
        units = parse_amount(literal, token)
    except InvalidAmount:
        return
    assert 0 < units <= U64_MAX
    assert Fraction(units, 10**token.decimals) == Fraction(literal)


@given(st.text(), tokens)
def test_no_text_does_worse_than_to_be_refused(literal: str, token: Token) -> None:
    try:
        assert parse_amount(literal, token) > 0
    except InvalidAmount:
        assert True


@given(st.integers(0, U64_MAX), st.integers(1, 5000))
def test_the_least_amount_is_the_quote_less_the_tolerance_rounded_down(quoted: int, bps: int) -> None:
    exact = Fraction(quoted * (BPS - bps), BPS)

    assert min_amount_out(quoted, bps) <= exact < min_amount_out(quoted, bps) + 1


def test_the_least_amount_of_a_known_quote() -> None:
    assert min_amount_out(205_123_457, 50) == 204_097_839  # 204097839.715 rounded down


@given(base_units, base_units, tokens, tokens)
def test_a_price_is_whole_tokens_out_for_one_in(
    out: int, paid: int, token_out: Token, token_in: Token
) -> None:
    exact = Fraction(out, 10**token_out.decimals) / Fraction(paid, 10**token_in.decimals)

    relative_error = abs(Fraction(price(out, token_out, paid, token_in)) / exact - 1)

    assert relative_error <= Fraction(1, 10**11)


@pytest.mark.parametrize(
    ("number", "text"), [("1E+3", "1000"), ("1.50", "1.5"), ("1E-9", "0.000000001"), ("0.0", "0"), ("7", "7")]
)
def test_a_number_is_written_without_exponent_or_trailing_zeros(number: str, text: str) -> None:
    assert bytes(json_number(Decimal(number))) == text.encode()


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30, places=12))
def test_a_written_number_is_the_same_number(number: Decimal) -> None:
    assert json.loads(bytes(json_number(number)), parse_float=Decimal, parse_int=Decimal) == number

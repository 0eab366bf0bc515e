from __future__ import annotations

import itertools
import json
import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import FieldError, InvalidRequest
from app.orders.model import OrderRequest, Swap
from app.orders.request import SPELLINGS, parse_order_request
from app.orders.scenarios import Scenario
from app.orders.tokens import BONK, RAY, SOL, TOKENS, USDC
from tests.builders import a_body, a_request

DEFAULT_BPS = 50


def parse(body: bytes | dict[str, Any]) -> OrderRequest:
    return parse_order_request(
        body if isinstance(body, bytes) else json.dumps(body).encode(), default_slippage_bps=DEFAULT_BPS
    )


def errors_of(body: bytes | dict[str, Any]) -> list[FieldError]:
    with pytest.raises(InvalidRequest) as caught:
        parse(body)
    return list(caught.value.errors)


def pointers_of(body: bytes | dict[str, Any]) -> list[str]:
    return [error.pointer for error in errors_of(body)]


def test_a_body_with_the_least_there_is_gets_the_defaults() -> None:
    assert parse(a_body()) == a_request("1.25", SOL, USDC, slippage_bps=DEFAULT_BPS, wallet=None)


FULL = {
    "type": "market",
    "tokenIn": BONK.mint,
    "tokenOut": "RAY",
    "amount": "0.00001",
    "slippageBps": 5000,
    "wallet": "abc",
    "scenario": "dropped",
}


@pytest.mark.parametrize(
    "spellings", list(itertools.islice(itertools.product(*SPELLINGS.values()), 96)), ids=",".join
)
def test_every_spelling_says_the_same(spellings: tuple[str, ...]) -> None:
    body = dict(zip(spellings, FULL.values(), strict=True))

    assert parse(body) == OrderRequest(Swap(BONK, RAY, 1), 5000, "abc", "market", Scenario.DROPPED)


@pytest.mark.parametrize("order_type", ["market", "MARKET"])
def test_both_ways_to_write_a_market_order_are_one(order_type: str) -> None:
    assert parse(a_body(orderType=order_type)).type == "market"


@pytest.mark.parametrize("token", TOKENS, ids=lambda token: token.symbol)
def test_a_token_is_known_by_its_symbol_and_by_its_mint(token: Any) -> None:
    other = "SOL" if token is USDC else "USDC"
    by_symbol, by_mint = (parse(a_body(tokenIn=name, tokenOut=other)) for name in (token.symbol, token.mint))

    assert by_symbol.swap.token_in == by_mint.swap.token_in == token


@pytest.mark.parametrize(
    ("field", "first", "second"),
    [
        (field, first, second)
        for field, spellings in SPELLINGS.items()
        for first, second in itertools.permutations(spellings, 2)
    ],
)
def test_two_spellings_of_one_field_are_refused_even_when_they_agree(
    field: str, first: str, second: str
) -> None:
    rest = {name: value for name, value in FULL.items() if name != field}
    errors = errors_of(rest | {first: FULL[field], second: FULL[field]})

    assert errors == [FieldError(f"#/{second}", f"says the same as {first}; send one")]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (a_body(price=3), "#/price"),
        (a_body(amount_in=3), "#/amount_in"),
        (a_body(**{"a/b~c": 1}), "#/a~1b~0c"),
        (b'{"tokenIn":"SOL","tokenOut":"USDC","amount":1,"a\\u0000b":1}', "#/a\N{REPLACEMENT CHARACTER}b"),
        (b'{"tokenIn":"SOL","tokenOut":"USDC","amount":1,"\\ud800":1}', "#/\N{REPLACEMENT CHARACTER}"),
        (b'{"tokenIn":"SOL","tokenOut":"USDC","amount":1,"amount":1}', "#/amount"),
        (b'{"tokenIn":"SOL","tokenIn":"SOL","tokenOut":"USDC","amount":1}', "#/tokenIn"),
        (b'{"tokenIn":"SOL","tokenOut":"USDC","amount":{"x":1,"x":2}}', "#/x"),
        (b'{"tokenIn":"SOL","tokenOut":"USDC","amount":' + b"[" * 20_000 + b"]" * 20_000 + b"}", "#/amount"),
        (b'{"tokenIn":"SOL","tokenOut":"USDC","amount":1,"wallet":' + b'{"a":' * 20_000, "#/wallet"),
        (b'{"tokenIn":"SOL","tokenOut":"USDC","amount":' + b"[" * 400 + b"]" * 400 + b"}", "#/amount"),
        (b"[" * 20_000, "#"),
        (b"\xff\xfe", "#"),
        (b'{"tokenIn":"\xed\xa0\x80"}', "#"),  # a surrogate, encoded as UTF-8 must not
        (b"\xef\xbb\xbf{}", "#"),
        (b"", "#"),
        (b"null", "#"),
        (b"[]", "#"),
        (b'"market"', "#"),
        (b"{", "#"),
        (b'{"amount":1}{"amount":1}', "#"),
        (b'{"wallet":"a\x00b"}', "#"),
        (a_body(tokenIn="sol"), "#/tokenIn"),
        (a_body(tokenIn="S\x00L"), "#/tokenIn"),
        (b'{"tokenIn":"\\ud800","tokenOut":"USDC","amount":1}', "#/tokenIn"),
        (a_body(tokenIn=7), "#/tokenIn"),
        (a_body(tokenOut=["USDC"]), "#/tokenOut"),
        (a_body(tokenOut="SOL"), "#/tokenOut"),
        ({"inputToken": "SOL", "outputToken": SOL.mint, "amount": 1}, "#/outputToken"),
        (a_body(type="limit"), "#/type"),
        (b'{"type":null,"tokenIn":"SOL","tokenOut":"USDC","amount":1}', "#/type"),
        (a_body(amount=True), "#/amount"),
        (a_body(amount={}), "#/amount"),
        (a_body(amount=0), "#/amount"),
        (a_body(amount=-1), "#/amount"),
        (a_body(amount="1e131072"), "#/amount"),
        (a_body(amount="0.123456789012345678901"), "#/amount"),
        (a_body(amount="1\x00"), "#/amount"),
        (b'{"tokenIn":"SOL","tokenOut":"USDC","amount":NaN}', "#/amount"),
        (b'{"tokenIn":"SOL","tokenOut":"USDC","amount":-Infinity}', "#/amount"),
        (b'{"tokenIn":"SOL","tokenOut":"USDC","amountIn":1e400}', "#/amountIn"),
        (b'{"tokenIn":"SOL","tokenOut":"USDC","amount":1' + b"0" * 5000 + b"}", "#/amount"),
        (a_body(slippageBps=0), "#/slippageBps"),
        (a_body(slippageBps=5001), "#/slippageBps"),
        (a_body(slippageBps=-1), "#/slippageBps"),
        (a_body(slippageBps=50.5), "#/slippageBps"),
        (a_body(slippageBps="50"), "#/slippageBps"),
        (b'{"tokenIn":"SOL","tokenOut":"USDC","amount":1,"maxSlippageBps":NaN}', "#/maxSlippageBps"),
        (b'{"tokenIn":"SOL","tokenOut":"USDC","amount":1,"slippageBps":1' + b"0" * 5000 + b"}", "#/slippageBps"),
        (a_body(wallet="ab"), "#/wallet"),
        (a_body(wallet="a" * 65), "#/wallet"),
        (a_body(wallet=12345), "#/wallet"),
        (a_body(wallet="a\x00b"), "#/wallet"),
        (a_body(wallet="a\nb"), "#/wallet"),
        (b'{"tokenIn":"SOL","tokenOut":"USDC","amount":1,"userWallet":"ab\\udfffcd"}', "#/userWallet"),
    ],
    ids=lambda value: re.sub(r"[^ -~]", "?", str(value))[:60],
)  # fmt: skip
def test_a_bad_body_is_refused_and_the_pointer_names_the_field(
    body: bytes | dict[str, Any], pointer: str
) -> None:
    assert pointers_of(body) == [pointer]


# 64 kB is what the API lets through; searched from every quote, it would cost twenty seconds.
@pytest.mark.timeout(5)
@pytest.mark.parametrize("filler", ['\\"', '"', '"a":', '"a" ', '{"a":', "[ "])
def test_a_hostile_body_is_refused_quickly(filler: str) -> None:
    body = "[" * 5_000 + '"' + filler * (60_000 // len(filler))

    assert pointers_of(body.encode())


def test_everything_that_is_wrong_is_said_at_once() -> None:
    body = {"tokenOut": "EUR", "amount": -1, "slippageBps": 0, "wallet": "", "extra": None}

    assert sorted(pointers_of(body)) == [
        "#/amount", "#/extra", "#/slippageBps", "#/tokenIn", "#/tokenOut", "#/wallet",
    ]  # fmt: skip


def test_the_default_tolerance_is_the_one_that_was_configured() -> None:
    assert parse_order_request(json.dumps(a_body()).encode(), default_slippage_bps=75).slippage_bps == 75


def test_a_whole_tolerance_may_be_written_as_a_decimal() -> None:
    assert parse(b'{"tokenIn":"SOL","tokenOut":"USDC","amount":1,"slippageBps":50.0}').slippage_bps == 50


@pytest.mark.parametrize("scenario", ["", "Dropped", "mayhem", 1, True, ["dropped"], {}])
def test_an_unknown_scenario_is_refused_with_those_that_there_are(scenario: Any) -> None:
    [error] = errors_of(FULL | {"scenario": scenario})

    assert error.pointer == "#/scenario"
    assert all(known in error.detail for known in Scenario)


def test_a_scenario_may_be_null() -> None:
    assert parse(a_body(scenario=None)).scenario is None


def test_a_wallet_may_be_null() -> None:
    assert parse(b'{"tokenIn":"SOL","tokenOut":"USDC","amount":1,"wallet":null}').wallet is None


def test_a_number_and_a_string_of_the_same_digits_are_the_same_amount() -> None:
    number, string = (parse(a_body(amount=amount)) for amount in (0.1, "0.1"))

    assert number.swap.amount_in == string.swap.amount_in == 100_000_000


@given(st.binary(max_size=200))
def test_no_bytes_do_worse_than_to_be_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        parse(body)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["SOL", "USDC"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
fields = st.sampled_from([name for spellings in SPELLINGS.values() for name in spellings]) | st.text(
    max_size=6
)


@given(st.dictionaries(fields, values, max_size=6))
def test_no_object_does_worse_than_to_be_refused_with_pointers_to_its_fields(body: dict[str, Any]) -> None:
    with suppress(InvalidRequest):
        parse(body)
        return
    errors = errors_of(body)
    assert errors
    assert all(error.pointer.startswith("#/") and error.detail for error in errors)
    assert all(error.pointer.isprintable() for error in errors)

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from app.orders.fingerprint import FINGERPRINT_BYTES, fingerprint
from app.orders.request import parse_order_request
from app.orders.scenarios import Scenario
from app.orders.tokens import BONK, SOL
from tests.builders import a_body, a_request


def of(body: dict[str, Any]) -> bytes:
    return fingerprint(parse_order_request(json.dumps(body).encode(), 50), queue=True)


@pytest.mark.parametrize(
    "body",
    [
        a_body(amount="1.250"),
        a_body(amount="125e-2"),
        a_body(tokenIn=SOL.mint),
        a_body(slippageBps=50),
        a_body(type="MARKET"),
        {"inputToken": "SOL", "outputToken": "USDC", "amountIn": 1.25, "maxSlippageBps": 50},
    ],
)
def test_a_request_spelled_differently_is_the_same_request(body: dict[str, Any]) -> None:
    assert of(body) == of(a_body())


def test_each_part_of_a_request_makes_it_another_one() -> None:
    request = a_request()
    others = [
        a_request("1.250000001"),
        a_request("12500", token_in=BONK),  # as many base units
        a_request(token_out=BONK),
        a_request(slippage_bps=51),
        a_request(wallet="wallet"),
        msgspec.structs.replace(request, type="limit"),
        *(msgspec.structs.replace(request, scenario=scenario) for scenario in Scenario),
    ]
    assert others[1].swap.amount_in == request.swap.amount_in

    prints = {fingerprint(each, queue) for each in [request, *others] for queue in (True, False)}

    assert len(prints) == 2 * (1 + len(others))
    assert {len(each) for each in prints} == {FINGERPRINT_BYTES}

"""Lists of orders, and every parameter that a reading call takes."""

from __future__ import annotations

import base64
from uuid import UUID

import pytest

from tests.stream.support import HAPPY_WAY, Orders

from .support import Api, check_problem

# What the documentation of five such engines tells their clients to send.
MALFORMED = [
    ("limit=0", "limit"),
    ("limit=101", "limit"),
    ("limit=-1", "limit"),
    ("limit=1e1", "limit"),
    ("limit=%D9%A1", "limit"),  # a digit of another script
    ("limit=" + "9" * 5000, "limit"),
    ("limit=", "limit"),
    ("limit=1&limit=2", "limit"),
    ("status=lost", "status"),
    ("wallet=ab", "wallet"),
    ("wallet=" + "a" * 65, "wallet"),
    ("wallet=a%00bc", "wallet"),
    ("cursor=", "cursor"),
    ("cursor=!!!", "cursor"),
    ("cursor=" + base64.urlsafe_b64encode(b"x" * 15).decode(), "cursor"),
    ("cursor=" + "_" * 21 + "9", "cursor"),  # bits beyond the sixteenth byte
    ("wallet=%FFabc", "the query string"),
    ("wallet=%ED%A0%80abc", "the query string"),  # a lone surrogate
    ("&".join(f"a{n}=1" for n in range(100)), "the query string"),
]


async def test_a_list_is_walked_page_by_page_while_new_orders_come(api: Api) -> None:
    placed = [await api.placed() for _ in range(5)]

    first = (await api.http.get("/api/orders?limit=2")).json()
    newest = await api.placed()
    second = (await api.http.get(f"/api/orders?limit=2&cursor={first['nextCursor']}")).json()
    third = (await api.http.get(f"/api/orders?limit=2&cursor={second['nextCursor']}")).json()

    pages = [[order["orderId"] for order in page["orders"]] for page in (first, second, third)]
    assert pages == [placed[:2:-1], placed[2:0:-1], placed[:1]]
    assert [page["hasMore"] for page in (first, second, third)] == [True, True, False]
    assert third["nextCursor"] is None
    assert (await api.http.get("/api/orders?limit=1")).json()["orders"][0]["orderId"] == newest


async def test_a_list_is_narrowed_by_wallet_and_by_status(api: Api, orders: Orders) -> None:
    hers = await api.placed(wallet="wallet-one")
    other = await api.placed(wallet="wallet-two")
    nobodys = await api.placed()
    await orders.append(UUID(other), *HAPPY_WAY)

    async def listed(query: str) -> list[str]:
        answer = await api.http.get(f"/api/orders{query}")
        assert answer.status_code == 200, answer.text
        return [order["orderId"] for order in answer.json()["orders"]]

    assert await listed("") == [nobodys, other, hers]
    assert await listed("?wallet=wallet-one") == await listed("/user/wallet-one") == [hers]
    assert await listed("?status=pending") == [nobodys, hers]
    assert await listed("?status=confirmed") == [other]
    assert await listed("?wallet=wallet-one&status=confirmed") == []
    assert await listed("/user/wallet-two?limit=1&status=confirmed") == [other]
    assert await listed("/user/nobody%20at%20all") == []


async def test_a_malformed_parameter_is_named(api: Api, subtests: pytest.Subtests) -> None:
    for query, parameter in MALFORMED:
        for path in ("/api/orders", "/api/orders/user/wallet-one"):
            if parameter == "wallet" and path != "/api/orders":
                continue
            with subtests.test(path=path, query=query[:40]):
                problem = check_problem(await api.http.get(f"{path}?{query}"), 400, "invalid_parameter")
                assert problem["errors"][0]["parameter"] == parameter


async def test_a_malformed_sequence_is_named(api: Api) -> None:
    order_id = await api.placed()
    for after in ("-1", "x", "2147483648", "1.0", ""):
        answer = await api.http.get(f"/api/orders/{order_id}/events?after={after}")

        assert check_problem(answer, 400, "invalid_parameter")["errors"][0]["parameter"] == "after"


async def test_a_malformed_wallet_in_the_path_is_named(api: Api) -> None:
    for wallet in ("ab", "a" * 65, "a%00bc", "%FF%FE", "abc%2F", "%2Fabc", "abc%2F%2F"):
        answer = await api.http.get(f"/api/orders/user/{wallet}")

        assert check_problem(answer, 400, "invalid_parameter")["errors"][0]["parameter"] == "wallet"

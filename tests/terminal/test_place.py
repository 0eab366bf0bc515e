"""Placing an order from the terminal."""

from __future__ import annotations

import socket

import msgspec
import pytest

from app.terminal.place import NotPlaced, place

from .support import ORDER, Answer, Request, Screen, http_server

CREATED = f'{{"orderId": "{ORDER}", "status": "pending", "idempotent": false, "ws": "/ws/orders/{ORDER}"}}'


@pytest.fixture
def screen() -> Screen:
    return Screen()


async def test_an_order_is_posted_as_written_and_its_id_returned(screen: Screen) -> None:
    async with http_server(lambda _: (201, CREATED)) as (url, requests):
        order_id = await place(
            f"{url}/",
            token_in="SOL",
            token_out="USDC",
            amount="1.250",
            slippage_bps=70,
            key="once",
            console=screen.console,
        )
    assert order_id == ORDER
    assert requests[0].line == "POST /api/orders/execute HTTP/1.1"
    assert requests[0].headers["idempotency-key"] == "once"
    assert msgspec.json.decode(requests[0].body) == {
        "type": "market",
        "tokenIn": "SOL",
        "tokenOut": "USDC",
        "amount": "1.250",
        "slippageBps": 70,
    }
    assert screen.lines == [f"order {ORDER}"]


async def test_a_replay_is_called_one(screen: Screen) -> None:
    answer = CREATED.replace("false", "true")
    async with http_server(lambda _: (200, answer)) as (url, _):
        await place(url, token_in="SOL", token_out="USDC", amount="1", key="once", console=screen.console)
    assert screen.lines == [f"order {ORDER}, placed before with this key"]


@pytest.mark.parametrize("trouble", [None, (503, '{"title": "Not available"}')])
async def test_a_lost_answer_is_asked_for_again_under_the_same_key(screen: Screen, trouble: Answer) -> None:
    answers: list[Answer] = [trouble, (200, CREATED)]
    async with http_server(lambda _: answers.pop(0)) as (url, requests):
        assert await place(url, token_in="SOL", token_out="USDC", amount="1", console=screen.console) == ORDER
    first, second = (request.headers["idempotency-key"] for request in requests)
    assert first == second


async def test_what_is_wrong_with_the_fields_is_printed_line_by_line(screen: Screen) -> None:
    problem = {
        "type": "about:blank",
        "title": "Invalid request",
        "status": 400,
        "detail": "2 fields are wrong",
        "code": "invalid_request",
        "errors": [
            {"pointer": "#/amount", "detail": "must be greater than zero"},
            {"pointer": "#/tokenIn", "detail": "must be one of SOL,\x1b[2J USDC"},
        ],
    }
    body = msgspec.json.encode(problem).decode()
    async with http_server(lambda _: (400, body)) as (url, requests):
        with pytest.raises(NotPlaced):
            await place(url, token_in="DOGE", token_out="USDC", amount="0", console=screen.console)
    assert screen.lines == [
        "Invalid request",
        "  amount: must be greater than zero",
        "  tokenIn: must be one of SOL,�[2J USDC",
    ]
    assert len(requests) == 1


async def test_a_problem_without_fields_shows_its_detail(screen: Screen) -> None:
    body = '{"title": "Too many orders", "detail": "Try again in 12 seconds."}'
    async with http_server(lambda _: (429, body)) as (url, _):
        with pytest.raises(NotPlaced):
            await place(url, token_in="SOL", token_out="USDC", amount="1", console=screen.console)
    assert screen.lines == ["Too many orders: Try again in 12 seconds."]


@pytest.mark.parametrize("body", ["<html>", "[]", '"x"', "{}", '{"orderId": null}'])
async def test_a_server_that_is_no_order_engine_is_named(screen: Screen, body: str) -> None:
    def answer(_: Request) -> Answer:
        return 200, body

    async with http_server(answer) as (url, _):
        with pytest.raises(NotPlaced):
            await place(url, token_in="SOL", token_out="USDC", amount="1", console=screen.console)
    assert screen.lines == [f"{url} did not take the order: it answered 200, and not as an order engine"]


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:{port}", "127.0.0.1:{port}", "ftp://x", "http://[", ""]
)
async def test_an_address_where_nobody_listens_is_named(screen: Screen, address: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = address.format(port=unused.getsockname()[1])
        with pytest.raises(NotPlaced):
            await place(url, token_in="SOL", token_out="USDC", amount="1", console=screen.console)
    assert len(screen.lines) == 1
    assert screen.lines[0].startswith(f"{url} did not take the order: ")

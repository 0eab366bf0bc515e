"""Whatever is sent, the answer is a problem that says what is wrong, and never a fault of the engine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace as with_other
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.api.parts import ApiParts
from app.runtime import open_api
from app.settings import Settings

from .support import NO_ORDER, Api, an_order, check_problem, exchange, running_api

JSON = {"content-type": "application/json"}
DEEP = b"[" * 20_000 + b"]" * 20_000
UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
HANDSHAKE = UPGRADE + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"


def with_amount(literal: str) -> bytes:
    return f'{{"tokenIn":"SOL","tokenOut":"USDC","amount":{literal}}}'.encode()


def with_member(member: bytes) -> bytes:
    return b'{"tokenIn":"SOL","tokenOut":"USDC","amount":1,' + member + b"}"


AMOUNTS = [
    "NaN", "Infinity", "-Infinity", "-1", "0", "-0", "1e400", '"1e131072"', "0.0000000001", "1." + "1" * 21,
    "18446744073.709551616", '"\\u0000"', '"1\\u0000"', '""', "null", "true", "[]", "{}", '"\\ud800"', "9" * 50_000,
]  # fmt: skip
BODIES = [
    (b"", "#"),
    (b"null", "#"),
    (b"[]", "#"),
    (b"{", "#"),
    (b"\xff", "#"),
    (b'{"tokenIn":"\xc3"}', "#"),
    (b"\xef\xbb\xbf{}", "#"),
    (DEEP, "#"),
    (b'{"amount":' + DEEP + b"}", "#/amount"),
    (b'{"tokenIn":"SOL","tokenIn":"SOL"}', "#/tokenIn"),
    (b'{"tokenIn":"SOL","tokenOut":"USDC"}', "#/amount"),
    (with_member(b'"amountIn":1'), "#/amountIn"),
    (with_member(b'"userWallet":"abc","wallet":"abc"'), "#/wallet"),
    (with_member(b'"colour":"red"'), "#/colour"),
    (with_member(b'"a/b~c":1'), "#/a~1b~0c"),
    (with_member(b'"\\ud800":1'), "#/\N{REPLACEMENT CHARACTER}"),
    (with_member(b'"wallet":"ab"'), "#/wallet"),
    (with_member(b'"wallet":"a\\u0000bc"'), "#/wallet"),
    (with_member(b'"wallet":"abc\\ud800"'), "#/wallet"),
    (with_member(b'"wallet":' + b'"' + b"a" * 65 + b'"'), "#/wallet"),
    (with_member(b'"type":"limit"'), "#/type"),
    (with_member(b'"slippageBps":0'), "#/slippageBps"),
    (with_member(b'"slippageBps":5001'), "#/slippageBps"),
    (with_member(b'"slippageBps":1.5'), "#/slippageBps"),
    (with_member(b'"slippageBps":' + b"9" * 50_000), "#/slippageBps"),
    (b'{"tokenIn":"SOL","tokenOut":"SOL","amount":1}', "#/tokenOut"),
    (b'{"tokenIn":"DOGE","tokenOut":"SOL","amount":1}', "#/tokenIn"),
]


REQUESTS = [
    (b"\x16\x03\x01 nothing of HTTP", b"", 400),
    (b"GET /\xff HTTP/1.1", b"", 400),
    (b"GET /\x00 HTTP/1.1", b"", 400),
    (b"GET /" + b"a" * 70_000 + b" HTTP/1.1", b"", 431),
    (b"GET /api/orders?cursor=\xff HTTP/1.1", b"", 400),
    (b"GET /%00 HTTP/1.1", b"", 404),
    (b"GET /%FF%FE%ED%A0%80 HTTP/1.1", b"", 404),
    (b"GET /% HTTP/1.1", b"", 404),
    (b"GET /docs/assets/%00 HTTP/1.1", b"", 404),
    (b"GET /docs/assets/..%2F..%2Fcore.py HTTP/1.1", b"", 404),
    (b"GET /problems/%00 HTTP/1.1", b"", 404),
    (b"GET * HTTP/1.1", b"", 404),
    (b"BREW /api/orders HTTP/1.1", b"", 400),
    (b"TRACE /api/orders HTTP/1.1", b"", 405),
    (b"POST /api/orders HTTP/1.1", b"Content-Length: abc\r\n", 400),
    (b"POST /api/orders HTTP/1.1", b"Content-Length: 99999999999\r\n", 413),
    (b"POST /api/orders HTTP/1.1", b"Content-Type: \xff\xfe\r\nContent-Length: 0\r\n", 415),
    (b"POST /api/orders HTTP/1.1", b"Idempotency-Key: \xff\r\nContent-Length: 0\r\n", 400),
    (b"POST /api/orders HTTP/1.1", HANDSHAKE + b"Content-Length: 0\r\n", 400),
    (b"GET /api/orders/execute HTTP/1.1", UPGRADE, 400),
    (b"GET /api/orders/execute HTTP/1.1", HANDSHAKE.replace(b"13", b"12"), 400),
    (b"GET /ws/orders/\xff HTTP/1.1", HANDSHAKE, 400),
    (b"GET /nowhere HTTP/1.1", HANDSHAKE, 404),
    (b"GET /api/orders HTTP/1.1", HANDSHAKE, 404),
]


async def test_an_amount_that_is_none_is_named(api: Api, subtests: pytest.Subtests) -> None:
    for amount in AMOUNTS:
        with subtests.test(amount=amount[:40]):
            answer = await api.http.post("/api/orders/execute", content=with_amount(amount), headers=JSON)

            problem = check_problem(answer, 400, "invalid_request")
            assert [error["pointer"] for error in problem["errors"]] == ["#/amount"]
            assert problem["instance"] == "/api/orders/execute"


async def test_a_body_that_is_no_order_is_pointed_at(api: Api, subtests: pytest.Subtests) -> None:
    for body, pointer in BODIES:
        with subtests.test(body=body[:80]):
            for path in ("/api/orders/execute", "/api/orders"):
                answer = await api.http.post(path, content=body, headers=JSON)

                problem = check_problem(answer, 400, "invalid_request")
                assert pointer in [error["pointer"] for error in problem["errors"]]
    assert (await api.http.get("/api/orders")).json()["orders"] == []


async def test_every_field_that_is_wrong_is_named_at_once(api: Api) -> None:
    answer = await api.place(tokenIn="X", amount=-1, slippageBps="a", colour="red")

    errors = check_problem(answer, 400, "invalid_request")["errors"]
    assert {error["pointer"] for error in errors} == {"#/tokenIn", "#/amount", "#/slippageBps", "#/colour"}


@pytest.mark.parametrize("is_announced", [True, False])
async def test_a_body_of_more_than_64_kib_is_413(api: Api, is_announced: bool) -> None:
    async def unannounced() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b"x" * 1000

    content = b"x" * 200_000 if is_announced else unannounced()
    answer = await api.http.post("/api/orders/execute", content=content, headers=JSON)

    check_problem(answer, 413, "body_too_large")


async def test_a_body_that_is_not_json_by_its_headers_is_415(api: Api) -> None:
    for headers in [
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "text/plain"},
        {"content-type": "application/json; charset=utf-16"},
        {"content-type": "application/jsonp"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ]:
        answer = await api.http.post("/api/orders/execute", content=json.dumps(an_order()), headers=headers)

        check_problem(answer, 415, "unsupported_media_type")


async def test_a_body_that_never_comes_is_408(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("body", "http_protocol"):
        monkeypatch.setattr(f"app.api.{module}.BODY_SECONDS", 0.05)

    answer = await exchange(api, b"POST /api/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nxxx")

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"request_timeout"' in answer


async def test_no_bytes_get_anything_but_a_problem(api: Api, subtests: pytest.Subtests) -> None:
    for request_line, headers, status in REQUESTS:
        with subtests.test(request_line=request_line[:60], headers=headers[:60]):
            answer = await exchange(api, request_line + b"\r\nHost: x\r\n" + headers + b"\r\n")

            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 %d " % status), answer
            assert b"content-type: application/problem+json" in head.lower()
            assert json.loads(body)["status"] == status


async def test_a_host_that_is_none_is_refused(api: Api) -> None:
    answer = await exchange(api, b"GET / HTTP/1.1\r\nHost: a<b>\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"code":"bad_request"' in answer


async def test_an_offer_of_http2_costs_no_body(api: Api) -> None:
    body = json.dumps(an_order()).encode()
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"
    head = b"POST /api/orders HTTP/1.1\r\nHost: x\r\n" + offer + b"Content-Length: %d\r\n\r\n" % len(body)

    assert (await exchange(api, head + body)).startswith(b"HTTP/1.1 201 ")


@pytest.mark.parametrize("offer", [b"TLS/1.0", b"websocket", b"h2c, foo"])
@pytest.mark.parametrize("framing", [b"Content-Length: 44", b"Transfer-Encoding: chunked"])
async def test_no_body_passes_for_a_request_because_an_upgrade_is_offered(
    api: Api, offer: bytes, framing: bytes
) -> None:
    reader, writer = await asyncio.open_connection(*api.address)
    async with asyncio.timeout(10):
        writer.write(b"POST /api/orders HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n")
        writer.write(b"Upgrade: " + offer + b"\r\n" + framing + b"\r\n\r\n")
        answer = await reader.readuntil(b"\r\n\r\n")
        with suppress(OSError):
            writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            answer += await reader.read()
    writer.close()

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1


async def test_a_websocket_does_not_overtake_the_answer_before_it(api: Api) -> None:
    slow = b"GET /api/orders HTTP/1.1\r\nHost: x\r\n\r\n"

    answer = await exchange(api, slow + b"GET /ws HTTP/1.1\r\nHost: x\r\n" + HANDSHAKE + b"\r\n")

    assert answer.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 400 "))


async def test_a_page_of_another_site_has_to_say_that_it_sends_json(api: Api) -> None:
    body = json.dumps(an_order()).encode()
    for origin, status in ({}, 201), ({"Origin": "https://elsewhere.example"}, 415):
        answer = await api.http.post("/api/orders", content=body, headers=origin)
        assert answer.status_code == status


async def test_a_fault_of_the_engine_is_logged_and_not_told(settings: Settings) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("the secret cause")

    @asynccontextmanager
    async def open_broken(settings: Settings) -> AsyncIterator[ApiParts]:
        broken: Any = Broken()
        async with open_api(settings) as parts:
            yield with_other(parts, reader=broken)

    opener: Any = open_broken
    assert isinstance(opener(settings), AbstractAsyncContextManager)
    async with running_api(settings, open_broken) as api:
        with capture_logs() as logs:
            answer = await api.http.get(f"/api/orders/{NO_ORDER}")

    check_problem(answer, 500, "internal_error")
    assert "secret" not in answer.text
    assert [(entry["event"], str(entry["exc_info"])) for entry in logs if entry["log_level"] == "error"] == [
        ("request.failed", "the secret cause")
    ]


async def test_what_clients_do_wrong_is_not_logged_as_a_fault(api: Api) -> None:
    with capture_logs() as logs:
        await api.http.get("/nowhere")
        await api.http.get(f"/api/orders/{NO_ORDER}")
        await api.http.post("/api/orders", content=b"{", headers=JSON)

    assert logs == []

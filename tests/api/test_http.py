"""Methods, paths, and what stands beside the orders: health, hello, documentation."""

from __future__ import annotations

import asyncio
import json

import pytest

from app.settings import Settings

from .support import (
    CLOSED_PORT_REDIS,
    DEADLINE,
    Api,
    a_settings,
    an_order,
    check_problem,
    eventually,
    running_api,
)


async def test_a_path_that_is_not_ours_is_404(api: Api) -> None:
    for path in ("/nowhere", "/api", "/api/order", "/docs/nowhere", "/api/orders/a/b/c"):
        check_problem(await api.http.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/orders/execute", "GET, HEAD, OPTIONS, POST"),
        ("/api/orders", "GET, HEAD, OPTIONS, POST"),
        ("/api/orders/01997d4e-6c3a-7c43-9f0b-0c9d1a4a8f11/execute", "OPTIONS, POST"),
        ("/ws/orders/01997d4e-6c3a-7c43-9f0b-0c9d1a4a8f11", "GET, HEAD, OPTIONS"),
        ("/health", "GET, HEAD, OPTIONS"),
    ],
)
async def test_the_methods_of_a_path_are_told(api: Api, path: str, allowed: str) -> None:
    for method in ("DELETE", "PUT", "PATCH"):
        answer = await api.http.request(method, path)
        check_problem(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == allowed
    options = await api.http.options(path)
    assert (options.status_code, options.headers["allow"], options.content) == (204, allowed, b"")


async def test_options_of_a_path_that_is_not_ours_is_404(api: Api) -> None:
    check_problem(await api.http.options("/nowhere"), 404, "not_found")


@pytest.mark.parametrize("path", ["/", "/health", "/api/orders", "/docs", "/openapi.json", "/nowhere"])
async def test_head_answers_what_get_answers_without_a_body(api: Api, path: str) -> None:
    get, head = await api.http.get(path), await api.http.head(path)

    assert head.content == b""
    assert head.status_code == get.status_code
    assert head.headers["content-type"] == get.headers["content-type"]
    assert head.headers["content-length"] == get.headers["content-length"] != "0"


@pytest.mark.parametrize("path", ["/api/orders/execute", "/api/orders/execute/ws", "/ws/orders/x"])
async def test_a_websocket_asked_for_by_plain_get_is_426(api: Api, path: str) -> None:
    answer = await api.http.get(path)

    check_problem(answer, 426, "upgrade_required")
    assert answer.headers["upgrade"] == "websocket"


async def test_the_engine_says_that_it_is_well(api: Api) -> None:
    assert (await api.http.get("/")).json() == {"ok": True}
    assert (await api.http.get("/livez")).json() == {"ok": True}
    assert (await api.http.get("/readyz")).json() == {"ready": True, "reasons": []}
    health = await api.http.get("/health")
    assert health.status_code == 200
    assert health.json() == {"status": "ok", "ok": True, "database": "connected", "redis": "connected"}


async def test_without_redis_the_engine_is_degraded_but_works(database_url: str) -> None:
    for redis_url in (CLOSED_PORT_REDIS, ""):
        async with running_api(a_settings(database_url, redis_url)) as api:
            await api.place()  # whoever asks first finds out
            health = await api.http.get("/health")

            assert health.status_code == 200
            assert health.json() == {
                "status": "degraded",
                "ok": True,
                "database": "connected",
                "redis": "disconnected",
            }
            assert (await api.http.get("/readyz")).status_code == 200


async def test_an_answer_names_no_server_software(api: Api) -> None:
    answer = await api.http.get("/")

    assert "server" not in answer.headers
    assert "date" in answer.headers


async def test_a_request_that_has_begun_is_finished_when_the_server_stops(settings: Settings) -> None:
    body = json.dumps(an_order()).encode()
    head = b"POST /api/orders HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    async with running_api(settings) as api, asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection(*api.address)
        writer.write(head % len(body))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(
            b"HTTP/1.1 100 "
        )  # its handler waits for the body

        stopping = asyncio.create_task(api.stop())
        await eventually(lambda: _refuses_connections(api))
        writer.write(body)
        assert (await reader.read()).startswith(b"HTTP/1.1 201 ")
        await stopping
        writer.close()


async def _refuses_connections(api: Api) -> bool:
    try:
        _, writer = await asyncio.open_connection(*api.address)
    except (
        ConnectionRefusedError,
        ConnectionResetError,
    ):  # reset: it was in the queue when the door was shut
        return True
    writer.close()
    return False

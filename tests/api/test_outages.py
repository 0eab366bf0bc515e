"""The database goes away and comes back: 503 until then, and nobody has to help."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.wire import Wire, wire_to_postgres

from .support import Api, a_settings, an_order, check_problem, eventually, running_api


@pytest.fixture
async def wire(database_url: str) -> AsyncIterator[Wire]:
    async with wire_to_postgres(database_url) as wire:
        yield wire


@pytest.fixture
async def api(wire: Wire, database_url: str, redis_url: str) -> AsyncIterator[Api]:
    """An API whose database can be cut off."""
    async with running_api(a_settings(wire.through_url(database_url), redis_url)) as api:
        yield api


async def test_every_call_that_needs_the_database_is_503_with_retry_after(api: Api, wire: Wire) -> None:
    order_id = await api.placed()
    wire.cut()

    for method, path in [
        ("POST", "/api/orders/execute"),
        ("POST", "/api/orders"),
        ("POST", f"/api/orders/{order_id}/execute"),
        ("GET", f"/api/orders/{order_id}"),
        ("GET", f"/api/orders/{order_id}/events"),
        ("GET", "/api/orders"),
        ("GET", "/api/orders/user/wallet-one"),
    ]:
        answer = await api.http.request(method, path, json=an_order() if method == "POST" else None)
        check_problem(answer, 503, "storage_unavailable")
        assert int(answer.headers["retry-after"]) >= 1


async def test_health_says_that_the_database_is_away(api: Api, wire: Wire) -> None:
    wire.cut()

    health, ready = await api.http.get("/health"), await api.http.get("/readyz")

    assert (health.status_code, ready.status_code) == (503, 503)
    assert health.json() == {
        "status": "unavailable",
        "ok": False,
        "database": "disconnected",
        "redis": "connected",
    }
    assert ready.json() == {"ready": False, "reasons": ["the database cannot be reached"]}
    assert (await api.http.get("/livez")).status_code == 200


async def test_orders_are_accepted_again_when_the_database_is_back(api: Api, wire: Wire) -> None:
    first = await api.place("key")
    wire.cut()
    check_problem(await api.place("another"), 503, "storage_unavailable")
    wire.mend()

    await eventually(lambda: _accepts(api))
    assert (await api.place("key")).json()["orderId"] == first.json()["orderId"]
    assert (await api.http.get("/health")).json()["status"] == "ok"


async def test_an_api_that_starts_before_its_database_serves_when_it_comes(
    wire: Wire, database_url: str, redis_url: str
) -> None:
    wire.cut()
    async with running_api(a_settings(wire.through_url(database_url), redis_url)) as api:
        check_problem(await api.place(), 503, "storage_unavailable")
        assert (await api.http.get("/readyz")).status_code == 503
        wire.mend()
        await eventually(lambda: _accepts(api))


async def _accepts(api: Api) -> bool:
    return (await api.place()).status_code == 201

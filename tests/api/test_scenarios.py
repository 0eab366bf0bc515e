"""Every scenario, through the API and a worker: what docs/scenarios.md says is what happens, and the same again."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import pytest

from app.orders.scenarios import Scenario
from app.settings import AppEnv, Settings
from tests.e2e.programs import ROOT
from tests.support.books import Books

from .support import FLAT, Api, a_settings, an_order, check_problem, messages_of, running_api, working

HEADER: Final = "x-sandbox-scenario"
SECTION: Final = re.compile(r"^## `(?P<name>\w+)`\n.*?^```\n(?P<events>.*?)^```$", re.MULTILINE | re.DOTALL)
OWN: Final = {"orderId", "ts", "txHash", "nextAttemptAt"}  # of an order's own, in an event
CODES: Final = {
    Scenario.SLIPPAGE: "slippage_exceeded",
    Scenario.QUOTE_TIMEOUT: "quote_timeout",
    Scenario.VENUE_DOWN: "venue_unavailable",
    Scenario.DROPPED: "transaction_dropped",
    Scenario.EXPIRED: "transaction_expired",
}

Event = dict[str, Any]


def documented() -> dict[str, list[str]]:
    """The events of each scenario, as the documentation lists them."""
    text = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")
    return {found["name"]: found["events"].splitlines() for found in SECTION.finditer(text)}


@pytest.fixture
async def books(database_url: str) -> AsyncIterator[Books]:
    async with Books(database_url) as books:
        yield books


@pytest.fixture
async def sandbox(settings: Settings, api: Api) -> AsyncIterator[Api]:
    """An API with a worker, and venues that would fail every order that they meet."""
    async with working(a_settings(settings.database_url, settings.redis_url, mock_dex_failure_rate=1.0)):
        yield api


async def events_of(api: Api, scenario: Scenario, **fields: Any) -> list[Event]:
    order_id = await api.placed(scenario=scenario, **fields)
    async with api.watch(FLAT.format(order_id)) as watcher:
        return await messages_of(watcher)


def line_of(event: Event) -> str:
    return f"{event['status']} {event.get('code', '')}".strip()


def comparable(events: list[Event]) -> list[Event]:
    return [{name: value for name, value in event.items() if name not in OWN} for event in events]


@pytest.mark.parametrize("scenario", Scenario)
async def test_a_scenario_is_what_its_documentation_says_and_the_same_again(
    sandbox: Api, scenario: Scenario
) -> None:
    events = await events_of(sandbox, scenario)
    again = await events_of(sandbox, scenario)

    assert [line_of(event) for event in events] == documented()[scenario]
    assert comparable(events) == comparable(again)
    end = events[-1]
    assert end.get("code") == CODES.get(scenario)
    assert end.get("fundsMoved", "no") == "no"


def test_every_scenario_is_documented() -> None:
    assert list(documented()) == list(Scenario)


@pytest.mark.parametrize("scenario", [Scenario.DROPPED, Scenario.EXPIRED, Scenario.SLIPPAGE])
async def test_what_is_said_not_to_land_does_not(sandbox: Api, books: Books, scenario: Scenario) -> None:
    events = await events_of(sandbox, scenario)

    assert await landed(books, events[0]["orderId"]) == []


@pytest.mark.parametrize(
    "scenario", [Scenario.REPLY_LOST_BUT_LANDED, Scenario.LANDED_LATE, Scenario.PARTIAL_OUTAGE_RECOVERS]
)
async def test_what_lands_does_so_once_in_time_and_as_it_is_told(
    sandbox: Api, books: Books, scenario: Scenario
) -> None:
    events = await events_of(sandbox, scenario)

    [row] = await landed(books, events[0]["orderId"])
    assert row.signature == events[-1]["txHash"]
    assert row.lands_height <= row.last_valid_height
    if scenario is Scenario.LANDED_LATE:
        assert row.lands_height == row.last_valid_height


async def landed(books: Books, order_id: str) -> list[Any]:
    return await books.ask(
        """SELECT signature, last_valid_height, floor(extract(epoch FROM lands_at) * 1000 / 400) AS lands_height
             FROM simulated_chain.transactions WHERE order_id = %s AND outcome = 'confirmed'""",
        order_id,
    )


async def test_a_partial_outage_names_the_venue_that_is_away_and_then_has_both(sandbox: Api) -> None:
    events = await events_of(sandbox, Scenario.PARTIAL_OUTAGE_RECOVERS)

    first, second = (event for event in events if event["status"] == "building")
    assert [away["dex"] for away in first["unavailable"]] == ["raydium"]
    assert "unavailable" not in second
    assert {quote["dex"] for quote in second["quotes"]} == {"raydium", "meteora"}


async def test_the_header_says_the_same_as_the_field(sandbox: Api) -> None:
    answer = await with_header(sandbox, Scenario.SLIPPAGE)
    async with sandbox.watch(FLAT.format(answer.json()["orderId"])) as watcher:
        by_header = await messages_of(watcher)

    assert comparable(by_header) == comparable(await events_of(sandbox, Scenario.SLIPPAGE))
    shown = (await sandbox.http.get(answer.headers["location"])).json()
    assert shown["scenario"] == "slippage"


async def with_header(api: Api, name: str, *, key: str | None = None, **fields: Any) -> httpx.Response:
    headers = {HEADER: name} if key is None else {HEADER: name, "Idempotency-Key": key}
    return await api.http.post("/api/orders/execute", json=an_order(**fields), headers=headers)


async def test_a_scenario_is_part_of_what_an_idempotency_key_stands_for(api: Api) -> None:
    first = await with_header(api, Scenario.DROPPED, key="one")
    repeat = await api.place("one", scenario=Scenario.DROPPED)
    other = await with_header(api, Scenario.EXPIRED, key="one")
    none = await api.place("one")

    assert (first.status_code, repeat.status_code) == (201, 200)
    assert repeat.json()["orderId"] == first.json()["orderId"]
    for answer in (other, none):
        check_problem(answer, 422, "idempotency_mismatch")


async def test_an_unknown_scenario_is_refused_with_those_that_there_are(api: Api) -> None:
    by_header = check_problem(await with_header(api, "mayhem"), 400, "invalid_parameter")
    by_field = check_problem(await api.place(scenario="mayhem"), 400, "invalid_request")

    assert by_header["errors"][0]["parameter"] == HEADER
    assert by_field["errors"][0]["pointer"] == "#/scenario"
    for problem in (by_header, by_field):
        assert all(scenario in problem["detail"] for scenario in Scenario)


async def test_header_and_field_must_agree(api: Api) -> None:
    agreed = await with_header(api, Scenario.CONFIRM, scenario="confirm")
    check_problem(await with_header(api, Scenario.CONFIRM, scenario="expired"), 400, "invalid_parameter")
    twice = httpx.Headers([(HEADER, "confirm"), (HEADER, "expired")])
    answer = await api.http.post("/api/orders/execute", json=an_order(), headers=twice)

    assert agreed.status_code == 201
    check_problem(answer, 400, "invalid_parameter")


async def test_production_knows_no_scenarios(database_url: str, redis_url: str, books: Books) -> None:
    settings = a_settings(database_url, redis_url, app_env=AppEnv.PRODUCTION)
    async with running_api(settings) as api:
        for answer in (
            await with_header(api, Scenario.CONFIRM),
            await with_header(api, "mayhem"),
            await api.place(scenario="confirm"),
        ):
            check_problem(answer, 403, "sandbox_only")
        assert (await api.place()).status_code == 201

    assert len(await books.ask("SELECT id FROM orders")) == 1

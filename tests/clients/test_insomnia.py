"""The Insomnia collection: whole, and every request of it, WebSockets too, gets the answer that it promises."""

from __future__ import annotations

import re
from itertools import permutations
from typing import Final
from uuid import uuid4

import httpx
from websockets.asyncio.client import connect

from tests.clients.insomnia import Json, assignments, collection, rendered, resources, variables_in
from tests.e2e.clients import STEPS, statuses, the_rest
from tests.support.processes import linux_only

pytestmark = linux_only

# Every kind that Insomnia can import and that is used here, and what its resources must have.
FIELDS: Final = {
    "workspace": {"name", "description", "scope"},
    "environment": {"name", "data"},
    "request_group": {"name", "description", "environment", "metaSortKey"},
    "request": {"name", "description", "method", "url", "body", "parameters", "headers", "authentication", "metaSortKey"},
    "websocket_request": {"name", "description", "url", "parameters", "headers", "authentication", "metaSortKey"},
}  # fmt: skip
PARENTS: Final = {
    "environment": {"workspace"},
    "request_group": {"workspace"},
    "request": {"request_group"},
    "websocket_request": {"request_group"},
}
PROMISE: Final = re.compile(r"Answers (\d{3})(?:, and (\d{3}) when it is sent again)?\.$")


def test_every_resource_is_of_a_kind_that_insomnia_imports_and_has_its_fields() -> None:
    exported = collection()
    assert (exported["_type"], exported["__export_format"]) == ("export", 4)
    assert {resource["_type"] for resource in resources()} == FIELDS.keys()
    for resource in resources():
        assert FIELDS[resource["_type"]] <= resource.keys(), resource["name"]


def test_ids_are_unique_and_every_parent_is_there() -> None:
    kind_of = {resource["_id"]: resource["_type"] for resource in resources()}
    assert len(kind_of) == len(list(resources()))
    # Insomnia gives new ids by replacing text.
    assert not [pair for pair in permutations(kind_of, 2) if pair[0] in pair[1]]
    for resource in resources():
        if resource["_type"] == "workspace":
            assert resource["parentId"] is None
        else:
            assert kind_of[resource["parentId"]] in PARENTS[resource["_type"]], resource["name"]
    used_groups = {resource["parentId"] for resource in resources("request", "websocket_request")}
    assert used_groups == {group["_id"] for group in resources("request_group")}


def test_the_environment_has_every_variable_that_requests_use_or_save() -> None:
    (environment,) = resources("environment")
    assert environment["data"]["BASE_URL"] == "http://localhost:3000"
    assert environment["data"]["WS_URL"] == "ws://localhost:3000"
    for request in resources("request", "websocket_request"):
        assert variables_in(request) | assignments(request).keys() <= environment["data"].keys()
        assert request["url"].startswith(("{{ _.BASE_URL }}/", "{{ _.WS_URL }}/"))


def test_there_is_a_request_for_each_websocket() -> None:
    paths = [request["url"].removeprefix("{{ _.WS_URL }}") for request in resources("websocket_request")]
    assert paths == [
        "/api/orders/execute?orderId={{ _.orderId }}",
        "/api/orders/execute/ws?orderId={{ _.orderId }}",
        "/ws/orders/{{ _.orderId }}",
    ]


async def test_every_request_gets_the_answer_that_it_promises(engine_url: str) -> None:
    (kept,) = resources("environment")
    environment = {
        **kept["data"],
        "BASE_URL": engine_url,
        "WS_URL": engine_url.replace("http", "ws", 1),
        "wallet": f"insomnia-{uuid4()}",
        "idempotencyKey": str(uuid4()),
    }
    async with httpx.AsyncClient(timeout=30, trust_env=False, verify=False) as client:
        for request in resources("request", "websocket_request"):
            if request["_type"] == "websocket_request":
                await watch(request, environment)
            else:
                await send(client, request, environment)


async def watch(request: Json, environment: Json) -> None:
    url = rendered(request["url"], environment)
    async with connect(url, compression=None, proxy=None, open_timeout=20) as socket:
        assert statuses(await the_rest(socket)) == STEPS, request["name"]


async def send(client: httpx.AsyncClient, request: Json, environment: Json) -> None:
    """Sends the request, and again if it promises another answer then, and runs its script."""
    promise = PROMISE.search(request["description"])
    assert promise is not None, request["name"]
    for status in promise.groups():
        if status is not None:
            answer = await client.request(
                request["method"],
                rendered(request["url"], environment),
                params={
                    field["name"]: rendered(field["value"], environment) for field in request["parameters"]
                },
                headers={
                    field["name"]: rendered(field["value"], environment) for field in request["headers"]
                },
                content=rendered(request["body"].get("text", ""), environment),
            )
            assert answer.status_code == int(status), (request["name"], answer.text)
            values = answer.json() if answer.is_success else {}
            environment |= {name: values[field] for name, field in assignments(request).items()}

"""The OpenAPI document is complete and true, and the page that shows it needs nobody else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from litestar.routes import HTTPRoute

from app.api.openapi import examples
from app.api.problems import PROBLEMS

from .support import Api

Json = dict[str, Any]
CALLS = {
    ("/", "get"),
    ("/api/orders", "get"),
    ("/api/orders", "post"),
    ("/api/orders/execute", "get"),
    ("/api/orders/execute", "post"),
    ("/api/orders/execute/ws", "get"),
    ("/api/orders/user/{wallet}", "get"),
    ("/api/orders/{order_id}", "get"),
    ("/api/orders/{order_id}/events", "get"),
    ("/api/orders/{order_id}/execute", "post"),
    ("/api/pairs/{token_in}/{token_out}/prices", "get"),
    ("/api/quotes", "get"),
    ("/api/stats", "get"),
    ("/api/stream", "get"),
    ("/api/tokens", "get"),
    ("/health", "get"),
    ("/livez", "get"),
    ("/problems", "get"),
    ("/problems/{code}", "get"),
    ("/readyz", "get"),
    ("/ws", "get"),
    ("/ws/orders/{order_id}", "get"),
}
MEDIA_TYPES = {"application/json", "text/event-stream"}
WITHOUT_STORAGE = {"/api/tokens", "/api/quotes"}
OF_ONE_ORDER = {"/api/stream"}  # among others
PLACING = ("/api/orders", "/api/orders/execute")


@pytest.fixture
async def document(api: Api) -> Json:
    answer = await api.http.get("/docs/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.content == (await api.http.get("/openapi.json")).content
    document: Json = answer.json()
    return document


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def resolved(document: Json, node: Json) -> Json:
    while "$ref" in node:
        found: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def references(node: Any) -> Iterator[Json]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            yield from references(part)


async def test_every_call_is_described(api: Api, document: Json) -> None:
    assert document["openapi"].startswith("3.1.")
    assert {(path, method) for path, method, _ in operations(document)} == CALLS
    served = {
        (route.path_format, method.lower())
        for route in api.app.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
        if handler.resolve_include_in_schema()
    }
    assert served == CALLS


async def test_every_operation_has_a_summary_a_description_and_an_id_of_its_own(document: Json) -> None:
    tags = {tag["name"] for tag in document["tags"]}
    ids = [operation["operationId"] for _, _, operation in operations(document)]

    assert len(set(ids)) == len(ids)
    for path, method, operation in operations(document):
        assert operation["summary"], (path, method)
        assert operation["description"], (path, method)
        assert set(operation["tags"]) <= tags, (path, method)


async def test_every_path_parameter_is_described_and_every_parameter_has_an_example(document: Json) -> None:
    for path, method, operation in operations(document):
        parameters = [resolved(document, parameter) for parameter in operation["parameters"]]
        in_path = {parameter["name"] for parameter in parameters if parameter["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", path)), (path, method)
        for parameter in parameters:
            assert parameter["description"], parameter
            assert "example" in parameter, parameter
            assert parameter["required"] or parameter["in"] != "path"


async def test_every_answer_has_a_schema_and_an_example_that_fits_it(document: Json) -> None:
    for path, method, operation in operations(document):
        for status, answer in operation["responses"].items():
            assert answer["description"], (path, method, status)
            if status == "101":
                assert operation["x-messages"]["example"], path
                check_example(document, operation["x-messages"]["schema"], operation["x-messages"]["example"])
                continue
            ((media_type, content),) = answer["content"].items()
            is_health = path in {"/health", "/readyz"} and status == "503"
            is_problem = int(status) >= 400 and not is_health
            media_types = {"application/problem+json"} if is_problem else MEDIA_TYPES
            assert media_type in media_types
            assert content["examples"], (path, method, status)
            for example in content["examples"].values():
                check_example(document, content["schema"], example["value"])


async def test_every_operation_has_all_its_problems(document: Json) -> None:
    for path, method, operation in operations(document):
        statuses = set(operation["responses"])
        assert {"400", "500"} <= statuses, (path, method)
        if path.startswith("/api/") and "101" not in statuses:
            assert ("503" in statuses) == (path not in WITHOUT_STORAGE), (path, method)
            is_of_one = "{order_id}" in path or path in OF_ONE_ORDER
            assert ("404" in statuses) == is_of_one, (path, method)
        if path in PLACING and method == "post":
            assert {"200", "201", "408", "413", "415", "422", "429"} <= statuses
        if path.endswith("{order_id}/execute"):
            assert {"202", "409"} <= statuses
        if "101" in statuses:
            assert "426" in statuses


async def test_headers_and_links_are_documented(document: Json) -> None:
    for path, method, operation in operations(document):
        for status, answer in operation["responses"].items():
            headers = {name.lower() for name in answer.get("headers", {})}
            assert ({"ratelimit", "ratelimit-policy"} <= headers) == (method == "post"), (path, status)
            is_problem = "application/problem+json" in answer.get("content", {})
            assert ("retry-after" in headers) == (status in {"429", "503"} and is_problem), (path, status)
            accepted = method == "post" and status in {"200", "201", "202"}
            assert ("location" in headers) == accepted, (path, status)
            if accepted:
                linked = {resolved(document, link)["operationId"] for link in answer["links"].values()}
                assert linked >= {"getOrder", "getOrderEvents", "watchOrder"}, (path, status)
                assert ("executeOrder" in linked) == (path == "/api/orders")
    for path in PLACING:
        repeat = document["paths"][path]["post"]["responses"]["200"]
        assert "Idempotent-Replayed" in repeat["headers"]


async def test_every_reference_leads_somewhere(document: Json) -> None:
    for reference in references(document):
        assert resolved(document, reference)


async def test_every_problem_leads_to_what_it_means(api: Api) -> None:
    listed = (await api.http.get("/problems")).json()

    assert [problem["code"] for problem in listed] == list(PROBLEMS)
    for problem in listed:
        assert (await api.http.get(f"/problems/{problem['code']}")).json() == problem
    assert (await api.http.get("/problems/nothing")).status_code == 404


async def test_the_examples_are_what_the_engine_takes_and_answers(api: Api, document: Json) -> None:
    body = document["paths"]["/api/orders/execute"]["post"]["requestBody"]
    content = body["content"]["application/json"]

    assert body["required"]
    for example in content["examples"].values():
        check_example(document, content["schema"], example["value"])
        answer = await api.http.post("/api/orders/execute", json=example["value"])
        assert answer.status_code == 201
        check_shape(answer.json(), examples.ACCEPTED)
        order = (await api.http.get(answer.headers["location"])).json()
        assert order.keys() == examples.ORDER.keys()
    orders = (await api.http.get("/api/orders?limit=1")).json()
    check_shape(orders, examples.ORDER_LIST)
    assert orders["orders"][0].keys() == examples.SUMMARY.keys()


@pytest.mark.parametrize("path", ["/docs", "/docs/asyncapi"])
async def test_a_page_needs_nobody_else(api: Api, path: str) -> None:
    page = await api.http.get(path)

    assert page.headers["content-type"].startswith("text/html")
    assert not re.findall(r"(?:https?:)?//[\w.]+", page.text)
    assets = re.findall(r'"(/docs/assets/[^"]+)"', page.text)
    assert len(assets) == 3
    for asset in assets:
        answer = await api.http.get(asset)
        assert answer.status_code == 200
        if asset.endswith(".css"):
            assert not re.findall(r"""url\((?!["']?data:)""", answer.text)
            assert "@import" not in answer.text


def check_shape(answer: Json, example: Json) -> None:
    assert {name: type(value) for name, value in answer.items()} == {
        name: type(value) for name, value in example.items()
    }


def check_example(document: Json, schema: Json, value: Any) -> None:
    """Fails unless the value has the members that the schema requires, and none that it does not know."""
    schema = resolved(document, schema)
    if "anyOf" in schema:
        schema = next(
            resolved(document, option)
            for option in schema["anyOf"]
            if fits(resolved(document, option), value)
        )
    if "enum" in schema or "const" in schema:
        assert value in schema.get("enum", [schema.get("const")])
        return
    assert fits(schema, value), (schema, value)
    if isinstance(value, dict) and "properties" in schema:
        assert set(schema.get("required", ())) <= value.keys() <= schema["properties"].keys()
        for name, member in value.items():
            check_example(document, schema["properties"][name], member)
    if isinstance(value, list):
        for member in value:
            check_example(document, schema["items"], member)


def fits(schema: Json, value: Any) -> bool:
    if "enum" in schema:
        return value in schema["enum"]
    types = {
        "object": dict,
        "array": list,
        "string": str,
        "boolean": bool,
        "null": type(None),
        "integer": int,
        "number": int | float,
    }
    named = schema["type"]
    return any(isinstance(value, types[name]) for name in ([named] if isinstance(named, str) else named))

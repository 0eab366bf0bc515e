"""The collections that the existing systems hand out: theirs name requests, and ours have them by those names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.e2e.clients import Json
from tests.e2e.programs import ROOT

FIVE = {
    "Create Order": ("POST", "/api/orders"),
    "Execute Order": ("POST", "/api/orders/execute"),
    "Get Order by ID": ("GET", "/api/orders/{{orderId}}"),
    "Get User Orders": ("GET", "/api/orders/user/{{wallet}}"),
    "Health Check": ("GET", "/health"),
}


@pytest.fixture
def postman() -> Json:
    return _read("postman_collection.json")


def test_the_five_documented_requests_are_in_the_postman_collection(postman: Json) -> None:
    found = {item["name"]: (item["request"]["method"], _path(item)) for item in _requests(postman)}
    assert {name: found.get(name) for name in FIVE} == FIVE


def test_create_market_order_saves_the_order_id_by_its_test_script(postman: Json) -> None:
    (item,) = (item for item in _requests(postman) if item["name"] == "Create Market Order")
    assert (item["request"]["method"], _path(item)) == ("POST", "/api/orders/execute")
    script = "\n".join(
        line for event in item["event"] if event["listen"] == "test" for line in event["script"]["exec"]
    )
    assert re.search(r"environment\.set\(.orderId.", script)


def test_the_engines_address_is_the_variable_base_url(postman: Json) -> None:
    variables = {variable["key"]: variable["value"] for variable in postman["variable"]}
    assert variables["BASE_URL"] == "http://localhost:3000"
    assert all(_url(item).startswith("{{BASE_URL}}/") for item in _requests(postman))


def test_the_insomnia_collection_posts_an_order_and_watches_it() -> None:
    resources = _read("insomnia_collection.json")["resources"]
    posted = [r for r in resources if r["_type"] == "request" and r["name"] == "Create Market Order"]
    watched = [r for r in resources if r["_type"] == "websocket_request" and r["name"] == "Watch Order"]
    assert [(r["method"], r["url"].endswith("/api/orders/execute")) for r in posted] == [("POST", True)]
    assert len(watched) == 1
    assert "/api/orders/execute" in watched[0]["url"]


def _read(name: str) -> Json:
    collection: Json = json.loads((ROOT / name).read_text(encoding="utf-8"))
    return collection


def _requests(folder: Json) -> Iterator[Json]:
    for item in folder["item"]:
        if "request" in item:
            yield item
        else:
            yield from _requests(item)


def _url(item: Json) -> str:
    url = item["request"]["url"]
    return str(url if isinstance(url, str) else url["raw"])


def _path(item: Json) -> str:
    return _url(item).removeprefix("{{BASE_URL}}").partition("?")[0]

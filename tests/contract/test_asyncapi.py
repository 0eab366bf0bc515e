"""The AsyncAPI document is valid, served, and true of every message that a watcher gets."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from app import __version__
from app.api.parameters import AFTER_RANGE
from app.api.problems import PROBLEMS
from app.api.stream import CODES
from app.orders.failures import FailureCode, FundsMoved
from app.orders.lifecycle import Status
from app.venues.simulated.listings import VENUES
from tests.clients.conftest import missing
from tests.contract import asyncapi
from tests.contract.asyncapi import Json, check, document, schema
from tests.e2e.clients import ENVELOPED, FLAT, FLAT_TOO, an_order, client_of
from tests.e2e.programs import ROOT
from tests.support.processes import linux_only

PARSER: Final = Path(__file__).with_name("parse_asyncapi.mjs")
PARSER_SECONDS: Final = 60.0
WATCH_SECONDS: Final = 40.0
NO_ORDER: Final = "01997d4e-6c3a-7c43-9f0b-0c9d1a4a8f11"


def test_the_official_parser_finds_nothing_wrong(show: Callable[[str], None]) -> None:
    node = shutil.which("node")
    if node is None or not (ROOT / "node_modules" / "@asyncapi" / "parser").exists():
        missing("the AsyncAPI parser is not installed: make node_modules")
    parsed = subprocess.run(
        [node, str(PARSER), str(asyncapi.DOCUMENT)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PARSER_SECONDS,
        check=False,
    )

    show(f"The AsyncAPI document, by the official parser\n{parsed.stdout}{parsed.stderr}")
    assert parsed.returncode == 0


def test_the_document_is_of_this_version_and_does_without_merge_keys() -> None:
    assert document()["info"]["version"] == __version__
    assert "<<:" not in asyncapi.DOCUMENT.read_text(encoding="utf-8")  # which YAML 1.2 has not


def test_no_schema_of_a_message_leaves_room_for_more() -> None:
    found = list(asyncapi.objects(document()["components"]["schemas"]))

    assert len(found) > 10
    assert [at for at, node in found if node.get("additionalProperties") is not False] == []


def test_the_document_knows_every_status_failure_and_venue() -> None:
    statuses = {name for name in document()["channels"]["flat"]["messages"] if name != "error"}
    assert statuses == set(Status) == set(schema("Status")["properties"]["status"]["enum"])
    assert {schema(status.capitalize())["properties"]["status"]["const"] for status in statuses} == statuses
    assert set(schema("FailureCode")["enum"]) == set(FailureCode)
    assert set(schema("FundsMoved")["enum"]) == set(FundsMoved)
    assert set(schema("Dex")["enum"]) == set(VENUES)
    assert set(schema("Error")["properties"]["code"]["enum"]) == {*CODES, "internal_error"} <= PROBLEMS.keys()
    assert schema("After")["maximum"] == AFTER_RANGE[-1]


def test_every_message_has_an_example_and_every_example_its_schema() -> None:
    examples = list(asyncapi.examples())

    assert {name for name, _ in examples} == document()["components"]["messages"].keys()
    for message, payload in examples:
        check(message, payload)


@linux_only
async def test_the_document_is_served(engine_url: str) -> None:
    async with client_of(engine_url) as http:
        for path in ("/asyncapi.yaml", "/docs/asyncapi.yaml"):
            answer = await http.get(path)
            assert answer.headers["content-type"] == "application/yaml"
            assert yaml.safe_load(answer.text) == document()
        for path in ("/asyncapi.json", "/docs/asyncapi.json"):
            assert (await http.get(path)).json() == document()


@linux_only
async def test_every_message_has_its_schema(engine_url: str, show: Callable[[str], None]) -> None:
    async with client_of(engine_url) as http:
        ids = await asyncio.gather(*(place(http, **fields) for fields in all_sorts()))
        watched = await asyncio.gather(*(_watch(engine_url, order_id) for order_id in ids))
    seen: dict[str, int] = {}
    for flat, flat_too, enveloped in watched:
        assert flat == flat_too
        assert [_flattened(message) for message in enveloped] == flat
        for message in flat:
            check(message["status"], message)
            seen[message["status"]] = seen.get(message["status"], 0) + 1
        for message in enveloped:
            check("status", message)

    show(f"The AsyncAPI document, against {sum(seen.values())} messages in each shape: {seen}")
    assert seen.keys() == set(Status)
    codes = {message["code"] for flat, _, _ in watched for message in flat if "code" in message}
    assert {"execution_failed", "slippage_exceeded", "unfillable_amount"} <= codes
    assert any("unavailable" in message for flat, _, _ in watched for message in flat)


@linux_only
@pytest.mark.parametrize(
    ("path", "close"),
    [
        (FLAT.format(NO_ORDER), 4404),
        (FLAT.format("nonsense"), 4400),
        (FLAT.format(""), 4400),
        (FLAT_TOO.format(NO_ORDER), 4404),
        (FLAT_TOO.format(NO_ORDER) + "&after=-1", 4400),
        (ENVELOPED.format(NO_ORDER), 4404),
        (ENVELOPED.format("nonsense"), 4400),
        (ENVELOPED.format(NO_ORDER) + "?after=x", 4400),
    ],
)
async def test_an_error_has_its_schema_and_its_close_code(engine_url: str, path: str, close: int) -> None:
    messages, code = await _messages(engine_url, path)

    (message,) = messages
    check("error", message)
    assert code == close
    assert str(close) in document()["info"]["description"]


def all_sorts() -> list[Json]:
    """Orders that come to every status, and to every member that a message may have."""
    return [
        *[{"slippageBps": 500} for _ in range(12)],
        *[{"slippageBps": 1} for _ in range(14)],
        {"scenario": "partial_outage_recovers"},  # one venue is not there at first
        {"amount": "0.000000001"},
        {"amount": 18_446_744_073},
        {"tokenIn": "BONK", "tokenOut": "SOL", "amount": "0.00001"},
        {"tokenIn": "SOL", "tokenOut": "BONK", "amount": "0.000000001"},
        {"tokenIn": "BONK", "tokenOut": "JUP", "amount": "1e7", "wallet": "abc"},
    ]


async def place(http: httpx.AsyncClient, **fields: Any) -> str:
    answer = await http.post("/api/orders/execute", json=an_order(**fields))
    assert answer.status_code == 201, answer.text
    order_id: str = answer.json()["orderId"]
    return order_id


async def _watch(url: str, order_id: str) -> list[list[Json]]:
    """What each of the three paths says of an order, from its first to its last step."""
    paths = [path.format(order_id) for path in (FLAT, FLAT_TOO, ENVELOPED)]
    ended = await asyncio.gather(*(_messages(url, path) for path in paths))
    assert [code for _, code in ended] == [1000, 1000, 1000]
    return [messages for messages, _ in ended]


async def _messages(url: str, path: str) -> tuple[list[Json], int | None]:
    """Every message until the server closes, and the code that it closes with."""
    messages: list[Json] = []
    address = url.replace("http", "ws", 1) + path
    async with asyncio.timeout(WATCH_SECONDS), connect(address, compression=None, proxy=None) as socket:
        try:
            while True:
                messages.append(json.loads(await socket.recv()))
        except ConnectionClosed:
            return messages, socket.close_code


def _flattened(message: Json) -> Json:
    """The flat message that says the same as an enveloped one."""
    head = {name: message[name] for name in ("orderId", "sequence", "status")}
    return {**head, "ts": message["timestamp"], **message["data"]}

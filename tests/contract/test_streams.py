"""What /ws and /api/stream say has the schemas of the documents, from orders that come to every status."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

import jsonschema_rs
from websockets.asyncio.client import ClientConnection, connect

from app.api.multiplex import ERRORS
from app.api.parameters import POSITION_RANGE
from app.api.stream import CODES
from app.api.subscriptions import MAX_ID
from app.orders.lifecycle import Status
from tests.contract.asyncapi import check, document, schema
from tests.contract.test_asyncapi import WATCH_SECONDS, all_sorts, place
from tests.e2e.clients import Json, client_of
from tests.support.processes import linux_only

pytestmark = linux_only

# Which message of the document a type is; `error` is that of this channel.
MESSAGES: Final = {"error": "refusal"}
FINAL: Final = {"confirmed", "failed"}


def test_the_documents_limits_are_those_of_the_engine() -> None:
    assert set(schema("Refusal")["properties"]["code"]["enum"]) == {*ERRORS, *CODES}
    assert schema("SubscriptionId")["maxLength"] == MAX_ID
    assert schema("Position")["maximum"] == POSITION_RANGE[-1]
    assert set(schema("LoggedEvent")["properties"]["status"]["enum"]) == set(Status)


async def test_every_message_of_a_connection_has_its_schema(engine_url: str) -> None:
    address = engine_url.replace("http", "ws", 1) + "/ws"
    async with (
        asyncio.timeout(WATCH_SECONDS),
        client_of(engine_url) as http,
        connect(address, compression=None, proxy=None) as socket,
    ):
        for example in _said_by_clients():
            await socket.send(json.dumps(example))
        await socket.send("nonsense")
        await socket.send(json.dumps({"type": "subscribe", "id": "new", "all": True}))
        await socket.send(json.dumps({"type": "subscribe", "id": "ahead", "all": True, "after": 10**15}))
        heard = await _until(socket, {"gap"})
        ids = [await place(http, **fields) for fields in all_sorts()]
        await socket.send(json.dumps({"type": "subscribe", "id": "one", "orderId": ids[0]}))
        heard += await _until_all_ended(socket, {*ids})
        if not any(message["type"] == "heartbeat" for message in heard):
            heard += await _until(socket, {"heartbeat"})

    for message in heard:
        kind: str = message["type"]
        check(MESSAGES.get(kind, kind), message)
        if message["type"] == "event":
            flat = {"ts": message["timestamp"], **message["data"]}
            check(
                message["status"], {name: message[name] for name in ("orderId", "sequence", "status")} | flat
            )
            assert ("order" in message) == (message["status"] == "pending")
    kinds = {message["type"] for message in heard}
    assert kinds == {"subscribed", "event", "gap", "unsubscribed", "pong", "heartbeat", "error"}
    assert {message["status"] for message in heard if message["type"] == "event"} == set(Status)


async def test_every_event_of_a_stream_has_its_schema(engine_url: str) -> None:
    async with client_of(engine_url) as http:
        openapi = (await http.get("/openapi.json")).json()
        whole = {"$ref": "#/components/schemas/LoggedEvent", "components": openapi["components"]}
        validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        order_id = await place(http)
        async with asyncio.timeout(WATCH_SECONDS):
            stream = (await http.get(f"/api/stream?orderId={order_id}", timeout=WATCH_SECONDS)).text
    frames = [dict(line.split(": ", 1) for line in frame.split("\n") if line[0] != ":") for frame in stream.split("\n\n") if frame]  # fmt: skip
    events = [json.loads(frame["data"]) for frame in frames if frame.get("event") == "status"]
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["status"] in FINAL
    assert frames[-1]["event"] == "end"
    for event in events:
        assert not [str(error) for error in validator.iter_errors(event)]


def _said_by_clients() -> list[Json]:
    """The examples of the document."""
    operation = document()["operations"]["askOfMany"]
    names = [reference["$ref"].rpartition("/")[2] for reference in operation["messages"]]
    return [
        example["payload"]
        for name in names
        for example in document()["components"]["messages"][name]["examples"]
    ]


async def _until(socket: ClientConnection, types: set[str]) -> list[Json]:
    heard: list[Json] = []
    while not heard or heard[-1]["type"] not in types:
        heard.append(json.loads(await socket.recv()))
    return heard


async def _until_all_ended(socket: ClientConnection, orders: set[Any]) -> list[Json]:
    heard: list[Json] = []
    ended: set[Any] = set()
    while not (orders <= ended and any(message.get("reason") == "end" for message in heard)):
        message = json.loads(await socket.recv())
        heard.append(message)
        if message.get("status") in FINAL:
            ended.add(message["orderId"])
    return heard

"""The AsyncAPI document as data, and its schemas as validators."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import yaml

from tests.e2e.programs import ROOT

DOCUMENT: Final = ROOT / "app" / "api" / "asyncapi.yaml"

Json = dict[str, Any]


@functools.cache
def document() -> Json:
    loaded: Json = yaml.safe_load(Path(DOCUMENT).read_text(encoding="utf-8"))
    return loaded


def schema(name: str) -> Json:
    found: Json = document()["components"]["schemas"][name]
    return found


def payload_schema(message: str) -> str:
    """The name of the schema that a message's payload has."""
    reference: str = document()["components"]["messages"][message]["payload"]["$ref"]
    return reference.rpartition("/")[2]


def examples() -> Iterator[tuple[str, Json]]:
    """Every example with the message that it is of."""
    for name, message in document()["components"]["messages"].items():
        yield from ((name, example["payload"]) for example in message["examples"])


def objects(node: Any, at: str = "#") -> Iterator[tuple[str, Json]]:
    """Every schema of an object with named members, and where it is."""
    if isinstance(node, dict):
        if node.get("type") == "object" and "properties" in node:
            yield at, node
        for name, part in node.items():
            yield from objects(part, f"{at}/{name}")


def check(message: str, payload: Json) -> None:
    """Fails unless the payload has the schema of the message."""
    errors = [
        f"{list(error.instance_path)}: {error.message}"
        for error in _validator(payload_schema(message)).iter_errors(payload)
    ]
    assert not errors, (message, payload, errors)


@functools.cache
def _validator(name: str) -> jsonschema_rs.Draft202012Validator:
    # Newer than AsyncAPI's own draft 7, where uuid is no format yet; all else that is used means the same in both.
    whole = {"$ref": f"#/components/schemas/{name}", "components": document()["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)

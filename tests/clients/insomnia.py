"""The Insomnia collection, read as Insomnia reads it: resources that point at their parents, and one environment."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from tests.e2e.programs import ROOT

COLLECTION: Final = ROOT / "insomnia_collection.json"

Json = dict[str, Any]

_VARIABLE: Final = re.compile(r"\{\{ _\.(\w+) \}\}")
_ASSIGNMENT: Final = re.compile(
    r'insomnia\.baseEnvironment\.set\("(\w+)", insomnia\.response\.json\(\)\.(\w+)\);'
)


def collection() -> Json:
    loaded: Json = json.loads(COLLECTION.read_text(encoding="utf-8"))
    return loaded


def resources(*kinds: str) -> Iterator[Json]:
    """The resources of these kinds, or all of them, as they are listed."""
    for resource in collection()["resources"]:
        if not kinds or resource["_type"] in kinds:
            yield resource


def variables_in(resource: Json) -> set[str]:
    return set(_VARIABLE.findall(json.dumps(resource)))


def rendered(text: str, environment: Json) -> str:
    return _VARIABLE.sub(lambda found: str(environment[found[1]]), text)


def assignments(resource: Json) -> dict[str, str]:
    """What the script after the response puts into the environment: variable and field of the answer.

    Fails on a script that does anything else.
    """
    lines = resource.get("afterResponseScript", "").splitlines()
    found = [_ASSIGNMENT.fullmatch(line) for line in lines]
    assert all(found), lines
    return {match[1]: match[2] for match in found if match}

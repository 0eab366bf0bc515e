"""The Postman collection: newman runs it green against a running engine, and its examples are what that answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import httpx

from tests.clients.postman import Answer, Json, collection, requests_of, run_with_newman
from tests.support.processes import linux_only

pytestmark = linux_only

FOLDERS: Final = ["Placing", "Watching", "Listing", "Failures", "Health"]
OF_THE_CONNECTION: Final = {"date", "content-length", "connection"}


def test_every_request_is_described_tested_and_has_an_example() -> None:
    kept = collection()
    assert kept["info"]["schema"].endswith("/collection/v2.1.0/collection.json")
    assert [folder["name"] for folder in kept["item"]] == FOLDERS
    assert {"key": "BASE_URL", "value": "http://localhost:3000"} in kept["variable"]
    names = [item["name"] for item in requests_of(kept)]
    assert len(names) == len(set(names)), "requests are sent again by their name"
    for item in requests_of(kept):
        request = item["request"]
        assert len(request["description"]) > 20, item["name"]
        assert request["url"]["raw"].startswith("{{BASE_URL}}/")
        tests = [
            line for event in item["event"] if event["listen"] == "test" for line in event["script"]["exec"]
        ]
        assert sum("pm.test(" in line for line in tests) >= 2, item["name"]
        assert item["response"], f"{item['name']}: python -m tests.clients.record"
        for example in item["response"]:
            assert example["originalRequest"].items() <= request.items(), item["name"]


def test_the_variables_that_requests_use_are_declared() -> None:
    kept = collection()
    declared = {variable["key"] for variable in kept["variable"]}
    text = json.dumps(kept)
    used = {part.partition("}}")[0] for part in text.split("{{")[1:]} - {"$guid"}
    assert used <= declared
    assert "127.0.0.1" not in text


def test_the_collection_runs_green_twice_against_one_engine_and_its_examples_are_what_that_answers(
    newman: None, engine_url: str, tmp_path: Path, show: Callable[[str], None]
) -> None:
    for time in ("first", "second"):
        run = run_with_newman(engine_url, tmp_path)
        show(f"newman: the Postman collection, for the {time} time against this engine\n{run.summary}")
        assert run.code == 0, run.output
        for item in requests_of(collection()):
            assert item["name"] in run.answers, f"{item['name']} was not sent"
            assert unlike(item["response"][0], run.answers[item["name"]]) == [], item["name"]


def test_the_other_examples_are_problems_that_the_engine_knows(engine_url: str) -> None:
    others = [example for item in requests_of(collection()) for example in item["response"][1:]]
    assert others
    for example in others:
        problem = json.loads(example["body"])
        known = httpx.get(f"{engine_url}{problem['type']}", trust_env=False, verify=False).json()
        assert (example["code"], problem["status"], problem["title"]) == (
            known["status"], known["status"], known["title"]
        )  # fmt: skip


def unlike(example: Json, answer: Answer) -> list[str]:
    """Where a saved example is not like the answer: status, header fields, fields of the body and their types."""
    found = []
    if (example["code"], example["status"]) != (answer.code, answer.status):
        found.append(f"status {answer.code}")
    found += sorted(_names(example["header"]) ^ _names(answer.header))
    return found + _unlike_values(json.loads(example["body"]), json.loads(answer.body), "#")


def _names(header: list[dict[str, str]]) -> set[str]:
    return {field["key"].lower() for field in header} - OF_THE_CONNECTION


def _unlike_values(saved: Any, answered: Any, at: str) -> list[str]:
    if saved is None or answered is None:  # what is not known yet
        return []
    if isinstance(saved, dict) and isinstance(answered, dict):
        unlike = [f"{at}/{name}" for name in sorted(saved.keys() ^ answered.keys())]
        shared = [(saved[name], answered[name], f"{at}/{name}") for name in saved if name in answered]
        return unlike + [place for three in shared for place in _unlike_values(*three)]
    if isinstance(saved, list) and isinstance(answered, list):
        pairs = zip(saved, answered, strict=False)  # lists may have grown
        return [
            place for number, pair in enumerate(pairs) for place in _unlike_values(*pair, f"{at}/{number}")
        ]
    return [] if _kind(saved) == _kind(answered) else [at]


def _kind(value: Any) -> str:
    return (
        "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
    )

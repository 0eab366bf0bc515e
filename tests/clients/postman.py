"""The Postman collection, as it is kept and as newman runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.e2e.programs import KEPT, ROOT

COLLECTION: Final = ROOT / "postman_collection.json"
NEWMAN: Final = ROOT / "node_modules" / "newman" / "bin" / "newman.js"
SECONDS: Final = 120.0

Json = dict[str, Any]


class Answer(NamedTuple):
    """What the engine answered to a request of the collection; an example keeps the same."""

    status: str
    code: int
    header: list[dict[str, str]]
    body: str


class Run(NamedTuple):
    """A run of the whole collection, and the last answer to each request."""

    code: int
    output: str
    answers: dict[str, Answer]

    @property
    def summary(self) -> str:
        """Newman's own table, and what failed."""
        return self.output[self.output.index("┌") :]


def collection() -> Json:
    loaded: Json = json.loads(COLLECTION.read_text(encoding="utf-8"))
    return loaded


def requests_of(collection: Json) -> Iterator[Json]:
    for folder in collection["item"]:
        yield from folder["item"]


def run_with_newman(url: str, folder: Path) -> Run:
    """Runs the collection against the engine at this URL; the report is left in the folder."""
    node = shutil.which("node")
    assert node is not None
    report = folder / "newman.json"
    done = subprocess.run(
        [node, str(NEWMAN), "run", str(COLLECTION), "--env-var", f"BASE_URL={url}", "--color", "off",
         "--reporters", "cli,json", "--reporter-json-export", str(report)],
        env={name: os.environ[name] for name in KEPT if name in os.environ},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert report.exists(), done.stdout + done.stderr
    executions = json.loads(report.read_text(encoding="utf-8"))["run"]["executions"]
    answers = {each["item"]["name"]: _answer(each["response"]) for each in executions if "response" in each}
    return Run(done.returncode, done.stdout + done.stderr, answers)


def _answer(response: Json) -> Answer:
    header = [{"key": each["key"], "value": each["value"]} for each in response["header"]]
    body = bytes(response["stream"]["data"]).decode()
    return Answer(response["status"], response["code"], header, body)

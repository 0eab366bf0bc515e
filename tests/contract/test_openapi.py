"""The OpenAPI document and the engine say the same: schemathesis runs the whole of it, links included."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx

from app.api.openapi.operations import OPERATIONS
from tests.contract.false_alarms import FALSE_ALARMS, false_alarm
from tests.e2e.clients import Json, client_of
from tests.e2e.programs import KEPT, ROOT
from tests.support.processes import linux_only

CONFIGURATION: Final = Path(__file__).with_name("schemathesis.toml")
PHASES: Final = {"examples", "coverage", "fuzzing", "stateful"}
SECONDS: Final = 240.0
ENDLESS: Final = {"streamEvents"}  # has a test of its own
REASONS: Final = ROOT / "docs" / "api-contract.md"


@linux_only
def test_the_engine_answers_what_the_document_says(
    engine_url: str, tmp_path: Path, show: Callable[[str], None]
) -> None:
    run, report = run_schemathesis(f"{engine_url}/openapi.json", tmp_path)

    show(f"schemathesis: the OpenAPI document against the engine\n{run.stdout}{run.stderr}")
    assert run.returncode == 0, run.stdout
    assert report["operations"]["tested"] == len(OPERATIONS.keys() - ENDLESS)
    assert report["operations"]["total"] == len(OPERATIONS)
    assert {name for name, phase in report["phases"].items() if phase["status"] == "success"} == PHASES
    assert report["failures"] == report["errors"] == []
    assert report["test_cases"]["generated"] > 500


@linux_only
async def test_every_link_leads_to_an_answer_that_is_no_problem(engine_url: str) -> None:
    """The tool follows what it happens to draw; this follows each of them."""
    async with client_of(engine_url) as http:
        document = (await http.get("/openapi.json")).json()
        calls = {
            operation["operationId"]: (method, path)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        }
        body = document["paths"]["/api/orders"]["post"]["requestBody"]["content"]["application/json"]
        order = body["examples"]["order"]["value"]
        followed = set()
        for path in ("/api/orders", "/api/orders/execute", "/api/orders?limit=1"):
            method = "get" if "?" in path else "post"
            answer = await http.request(method, path, json=order if method == "post" else None)
            responses = document["paths"][path.partition("?")[0]][method]["responses"]
            for reference in responses[str(answer.status_code)]["links"].values():
                name = reference["$ref"].rpartition("/")[2]
                status = await _follow(http, document["components"]["links"][name], calls, answer.json())
                assert (status, name) in {
                    (200, name),
                    (202, "execute"),
                    (426, "watch"),
                    (426, "watchEnveloped"),
                }
                followed.add(name)
    assert followed == document["components"]["links"].keys()


def test_every_false_alarm_is_listed_with_its_reason() -> None:
    listed = REASONS.read_text(encoding="utf-8")

    for alarm in FALSE_ALARMS:
        assert f"| {alarm.failure} | `{alarm.code}` | {alarm.reason} |" in listed, alarm


def test_a_failure_is_a_false_alarm_only_where_every_detail_of_it_is() -> None:
    def problem(code: str, *details: str) -> Json:
        return {"code": code, "errors": [{"detail": detail} for detail in details]}

    same_token, no_bps = "must differ from the token sold", "must be a whole number from 1 to 5000"
    assert false_alarm("RejectedPositiveData", problem("invalid_request", same_token))
    assert not false_alarm("RejectedPositiveData", problem("invalid_request", same_token, no_bps))
    assert not false_alarm("AcceptedNegativeData", problem("invalid_request", same_token))
    assert not false_alarm("ServerError", {"code": "internal_error", "detail": "The engine failed."})


def run_schemathesis(document: str, folder: Path) -> tuple[subprocess.CompletedProcess[str], Json]:
    """The run, and its own report."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    report = folder / "report.json"
    run = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION), "run", document,
         "--report-json-path", str(report)],
        env={**kept, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.contract.hooks", "NO_PROXY": "*"},
        cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert report.exists(), run.stdout + run.stderr
    return run, json.loads(report.read_text(encoding="utf-8"))


async def _follow(
    http: httpx.AsyncClient, link: Json, calls: dict[str, tuple[str, str]], answer: Json
) -> int:
    """The status of the call that a link leads to from this answer."""
    method, path = calls[link["operationId"]]
    values = {
        name: answer[where.removeprefix("$response.body#/")] for name, where in link["parameters"].items()
    }
    in_query = {name: value for name, value in values.items() if f"{{{name}}}" not in path}
    return (await http.request(method, path.format(**values), params=in_query)).status_code

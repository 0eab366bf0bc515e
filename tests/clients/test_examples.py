"""The examples that people copy: each runs as its first lines say, and its exit code tells how the order ended."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import httpx
import pytest

from tests.clients.conftest import missing
from tests.clients.faulty_network import faulty_network
from tests.e2e.clients import STEPS
from tests.e2e.programs import KEPT, ROOT
from tests.support.processes import linux_only

pytestmark = linux_only

FOLDER: Final = ROOT / "examples"
SECONDS: Final = 60.0
TOO_MUCH: Final = "9000000000"  # more SOL than any pool holds: such an order fails
ORDER_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Done(NamedTuple):
    code: int
    output: str

    @property
    def order_ids(self) -> set[str]:
        return set(ORDER_ID.findall(self.output))


def with_shell() -> list[str]:
    return ["sh"] if shutil.which("curl") else missing("curl is not installed")


def with_python() -> list[str]:
    return [sys.executable]


def with_node() -> list[str]:
    node = shutil.which("node") or missing("node is not installed")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    has_websocket = int(version.removeprefix("v").split(".")[0]) >= 22
    return [node] if has_websocket else [node, "--experimental-websocket"]


EXAMPLES: Final[dict[str, Callable[[], list[str]]]] = {
    "curl.sh": with_shell,
    "node_client.mjs": with_node,
    "python_client.py": with_python,
    "two_step.py": with_python,
}
every_example = pytest.mark.parametrize("name", EXAMPLES)


async def run(name: str, url: str, *arguments: str) -> Done:
    """Runs an example to its end."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        *EXAMPLES[name](), str(FOLDER / name), *arguments, env={**kept, "BASE_URL": url}, cwd=FOLDER,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(SECONDS):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    print(output.decode())  # noqa: T201  # shown when the test fails
    return Done(process.returncode, output.decode())


def status_of(url: str, order_id: str) -> str:
    status: str = httpx.get(f"{url}/api/orders/{order_id}", trust_env=False, verify=False).json()["status"]
    return status


def test_every_example_is_tested_and_says_how_to_run_it() -> None:
    files = {path.name: path for path in FOLDER.iterdir() if path.is_file()}
    assert files.keys() == EXAMPLES.keys()
    for name, path in files.items():
        head = path.read_text(encoding="utf-8")[:900]
        for part in (f"examples/{name} ", "BASE_URL=", "http://localhost:3000", "Needs ", "Exit code: 0 confirmed, 1 failed"):  # fmt: skip
            assert part in head, f"{name} does not say {part!r}"


@every_example
async def test_an_example_ends_with_0_when_its_order_is_confirmed(name: str, engine_url: str) -> None:
    done = await run(name, engine_url)
    assert done.code == 0
    (order_id,) = done.order_ids
    assert status_of(engine_url, order_id) == "confirmed"


@every_example
async def test_an_example_ends_with_1_when_its_order_failed(name: str, engine_url: str) -> None:
    done = await run(name, engine_url, TOO_MUCH)
    assert done.code == 1
    (order_id,) = done.order_ids
    assert status_of(engine_url, order_id) == "failed"


@every_example
async def test_an_example_ends_otherwise_when_its_order_is_refused(name: str, engine_url: str) -> None:
    done = await run(name, engine_url, "much")
    assert done.code not in {0, 1}
    assert "400" in done.output or "must be a decimal number" in done.output
    assert not done.order_ids


@pytest.mark.parametrize("name", ["node_client.mjs", "python_client.py"])
async def test_a_client_places_one_order_and_sees_each_event_once_although_the_network_fails(
    name: str, engine_url: str
) -> None:
    async with faulty_network(engine_url) as (url, network):
        done = await run(name, url)
    assert done.code == 0
    (order_id,) = done.order_ids
    assert f"order {order_id} (a repeat)" in done.output
    assert re.findall(r"^(\d) (\w+)", done.output, re.MULTILINE) == [
        (str(sequence), status) for sequence, status in enumerate(STEPS, start=1)
    ]
    first, again, watched, resumed = network.requests
    assert first == again == "POST /api/orders/execute"
    assert re.search(r"\bafter=0\b", watched)
    assert re.search(r"\bafter=1\b", resumed)


async def test_of_five_callers_one_executes_the_stored_order(engine_url: str) -> None:
    done = await run("two_step.py", engine_url)
    assert "1 of 5 callers executed it" in done.output


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.sh")), ids=lambda path: Path(path).name)
def test_shell_examples_are_posix(path: Path) -> None:
    first, *_ = path.read_text(encoding="utf-8").splitlines()
    assert first == "#!/bin/sh"
    assert os.access(path, os.X_OK)
    assert subprocess.run(["sh", "-n", str(path)], check=False).returncode == 0

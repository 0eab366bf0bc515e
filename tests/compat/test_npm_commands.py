"""The npm commands of the existing systems: what each of them runs here."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.compat.user import User, a_user
from tests.e2e.programs import ROOT
from tests.support.processes import linux_only

pytestmark = linux_only

SAME: Final = (
    ("dev", "dev:watch", "start"),
    ("dev:api", "start:api"),
    ("dev:worker", "start:worker", "worker"),
)


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    with a_user(tmp_path_factory.mktemp("user"), MAKEFLAGS="n") as user:
        yield user


def test_commands_that_mean_the_same_are_the_same() -> None:
    scripts = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["scripts"]
    assert [len({scripts[name] for name in names}) for names in SAME] == [1] * len(SAME)


@pytest.mark.parametrize(
    ("command", "runs"),
    [
        ("npm test", "-m pytest"),
        ("npm run test:run", "-m pytest"),
        ("npm run test:order", "tests/compat -k lifecycle"),
        ("npm run test:concurrent", "tests/compat -k concurrent"),
        ("npm run test:ws", "tests/compat -k stream"),
        ("npm run lint", "ruff check"),
        ("npm run build", "pip install --require-hashes -r requirements-dev.lock"),
        ("npm run postinstall", "pip install --require-hashes -r requirements-dev.lock"),
    ],
)
def test_a_command_hands_over_to_make(shell: User, command: str, runs: str) -> None:
    assert runs in shell.types(command)


def test_npm_install_asks_for_nothing_but_tools_of_the_tests() -> None:
    package = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
    assert "dependencies" not in package
    assert package["scripts"]["postinstall"] == package["scripts"]["build"]


@pytest.mark.parametrize("service", ["api", "worker"])
def test_the_shell_helpers_are_what_npm_runs(service: str) -> None:
    scripts = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["scripts"]
    assert scripts[f"start:{service}"] == f"exec ./start-{service}.sh"
    assert os.access(ROOT / f"start-{service}.sh", os.X_OK)


@pytest.mark.parametrize("subject", ["lifecycle", "concurrent", "stream"])
def test_each_subject_has_tests(subject: str) -> None:
    modules = Path(__file__).parent.glob("test_*.py")
    assert any(
        re.search(rf"^async def test_\w*{subject}", m.read_text("utf-8"), re.MULTILINE) for m in modules
    )

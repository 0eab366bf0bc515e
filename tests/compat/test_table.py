"""`docs/compatibility.md`: every row has a proof that exists, or a reason; every test of a system is in a row."""

from __future__ import annotations

import ast
import re
from typing import Final, NamedTuple

import pytest

from tests.e2e.programs import ROOT

HERE: Final = ROOT / "tests" / "compat"
SYSTEMS: Final = (
    "test_flat_quickstart.py",
    "test_two_step_repository.py",
    "test_idempotent_sandbox.py",
    "test_event_sourced_market.py",
    "test_active_order_cache.py",
)
REASON: Final = re.compile(r"Difference: \S.{20,}")
PROOF: Final = re.compile(r"`tests/compat/(test_\w+\.py)::(test_\w+)`")
PROOFS: Final = re.compile(rf"{PROOF.pattern}(, {PROOF.pattern})*")
CELL_BORDER: Final = re.compile(r"(?<!\\)\|")


class Row(NamedTuple):
    item: str
    here: str
    proof: str


def _rows() -> list[Row]:
    lines = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8").splitlines()
    cells = [
        [cell.strip() for cell in CELL_BORDER.split(line)[1:-1]] for line in lines if line.startswith("|")
    ]
    head = ["what its README shows", "here", "proof, or why not"]
    return [Row(*row) for row in cells if row != head and set("".join(row)) != {"-"}]


def _tests_in(file: str) -> set[str]:
    tree = ast.parse((HERE / file).read_text(encoding="utf-8"))
    functions = (node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {name for name in functions if name.startswith("test_")}


def _is_settled(proof: str) -> bool:
    """Whether it is a reason, or else nothing but tests."""
    return bool(REASON.fullmatch(proof) or PROOFS.fullmatch(proof))


ROWS: Final = _rows()


def test_the_table_has_a_section_for_each_system() -> None:
    text = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
    sections = text.split("\n## ")[1:]
    assert len(sections) == len(SYSTEMS)
    for file, section in zip(SYSTEMS, sections, strict=True):
        assert f"`tests/compat/{file}::" in section


def test_every_row_says_what_is_here_and_proves_it_or_gives_a_reason() -> None:
    assert len(ROWS) > 150
    assert [row.item for row in ROWS if not (row.item and row.here and _is_settled(row.proof))] == []


def test_every_proof_exists() -> None:
    cited = {proof for row in ROWS for proof in PROOF.findall(row.proof)}
    assert {(file, test) for file, test in cited if test not in _tests_in(file)} == set()


@pytest.mark.parametrize("file", SYSTEMS)
def test_every_test_of_a_system_proves_a_row(file: str) -> None:
    cited = {test for row in ROWS for cited_file, test in PROOF.findall(row.proof) if cited_file == file}
    assert _tests_in(file) - cited == set()

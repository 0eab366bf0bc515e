"""Writes docs/reliability.md from what the trials came to: `python -m tests.faults.reliability RESULTS OUTPUT`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

HEAD: Final = """# Reliability

What was broken, how often, and what happened. Written by `make faults`: real processes, a real Postgres and Redis, and
faults drawn from a seed, which replays them (`SEED=… make faults`; the moments are planned, the machine's own timing is
not). After every scenario the same inspection holds the ledger, the simulated chain, every answer that a client got and
every message that a watcher got against each other:

- what was accepted is in the ledger, once per key, and nothing else is;
- every order has ended, and at most one of its transactions landed: exactly one when it is `confirmed`, else none;
- events are numbered 1, 2, 3 …, each along the lifecycle, and nothing follows the end;
- every watcher saw all of these events, in order, once, and then close code 1000.

"""
TWINS: Final = """
## Twins

The same scenarios and the same inspection with a guard taken away. Each has to find something, or it proves nothing.

"""
DEFECTS: Final = Path(__file__).with_name("defects.md")
Result = dict[str, Any]


def page(results: list[Result]) -> str:
    real = [result for result in results if not result["twin"]]
    twins = [result for result in results if result["twin"]]
    rows = [_row(result) for result in real]
    text = HEAD + _table(("#", "broken", "must", "what happened", ""), rows)
    if twins:
        text += TWINS + _table(("guard", "scenario", "found"), [_twin_row(twin) for twin in twins])
    seeds = sorted({str(result["seed"]) for result in results})
    scales = sorted({result["scale"] for result in results})
    text += DEFECTS.read_text("utf-8")
    return f"{text}\nSeed {', '.join(seeds)}; scale {', '.join(scales)}.\n"


def _row(result: Result) -> tuple[str, ...]:
    happened = "; ".join(f"{name}: {value}" for name, value in result["facts"].items())
    verdict = "passed" if not result["findings"] else "**failed**: " + "; ".join(result["findings"])
    return str(result["number"]), result["broken"], result["passes"], happened, verdict


def _twin_row(result: Result) -> tuple[str, ...]:
    found = "; ".join(finding.partition(" (")[0] for finding in result["findings"])
    return result["twin"], f"{result['number']}, {result['name']}", found or "**nothing**"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |\n" for line in lines)


def main(results_folder: str, output: str) -> None:
    results = [json.loads(path.read_text("utf-8")) for path in sorted(Path(results_folder).glob("*.json"))]
    Path(output).write_text(page(results), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])

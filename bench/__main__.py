"""`make bench`: the table of figures, each beside what it must be and beside its floor."""

from __future__ import annotations

import json
from pathlib import Path

import click

from bench.figures import Figure, table
from bench.floors import Floors
from bench.idle import allow_open_files
from bench.machine import ENOUGH, wait_until_idle
from bench.rows import ROWS, Plan


@click.command()
@click.option("--rows", default=",".join(ROWS), show_default=True, help="What to measure, comma-separated.")
@click.option("--secs", type=float, default=10, show_default=True, help="How long each load lasts.")
@click.option("--apis", type=click.IntRange(1), default=1, show_default=True, help="API processes.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Worker processes.")
@click.option(
    "--wait-idle", type=float, default=20, show_default=True, help="Seconds to wait for a quiet machine."
)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Also write the figures here, as JSON."
)
def main(  # noqa: PLR0917  # click passes by name
    rows: str, secs: float, apis: int, workers: int, wait_idle: float, out: Path | None
) -> None:
    """Measure the engine on servers of its own, fsync on."""
    unknown = set(chosen := rows.split(",")) - set(ROWS)
    if unknown:
        raise click.BadParameter(
            f"{', '.join(sorted(unknown))}; there are {', '.join(ROWS)}", param_hint="--rows"
        )
    allow_open_files()
    floors, figures, idle = Floors(min(secs, 5)), list[Figure](), dict[str, float]()
    for row in chosen:
        idle[row] = wait_until_idle(wait_idle)
        busy = "" if idle[row] >= ENOUGH else f" (beside other programs: {idle[row]:.0%} idle)"
        click.echo(f"measuring {row}{busy} …", err=True)
        found = ROWS[row](Plan(secs, apis, workers), floors)
        for figure in found:
            click.echo(f"  {figure.target.label.strip()}: {figure.value:,.2f} {figure.target.unit}", err=True)
        figures += found
    click.echo(table(figures))
    if out is not None:
        out.write_text(_as_json(figures, floors, idle), encoding="utf-8")


def _as_json(figures: list[Figure], floors: Floors, idle: dict[str, float]) -> str:
    rows = {
        figure.key: {"value": figure.value, "unit": figure.target.unit, "floor": figure.floor, "ratio": figure.ratio,
                     "must": figure.target.must, "aim": figure.target.aim, "reached": figure.verdict}
        for figure in figures
    }  # fmt: skip
    whole = {"figures": rows, "floors": floors.machine, "idle_before": idle}
    return json.dumps(whole, indent=2) + "\n"


if __name__ == "__main__":
    main()

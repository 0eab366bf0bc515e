"""Flame graphs of the API and of the worker under load, with py-spy: `python -m bench.profile --out FOLDER`."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import click
import uvloop

from app.processes.child import Stop, spawn, stop
from bench import ledger
from bench.floors import CONNECTIONS
from bench.idle import allow_open_files
from bench.posting import Orders, closed_loop
from bench.site import engine, servers

NAMES: Final = ("api", "worker")
WARM_UP: Final = 2.0  # seconds
COMMAND: Final = re.compile(r"[^\s>]*py-spy record [^<]*?(--rate \d+)[^<]*")
WRITE_UP: Final = Stop(signal.SIGINT, 30)


@click.command()
@click.option("--secs", default=10.0, show_default=True, help="How long the load, and the recording, lasts.")
@click.option("--native", is_flag=True, help="C functions too; slower, and costs the program more.")
@click.option("--format", "kind", type=click.Choice(["flamegraph", "speedscope"]), default="flamegraph")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="Folder for both files."
)
def main(secs: float, native: bool, kind: str, out: Path) -> None:
    """Record both processes while 64 connections place orders and the worker executes them."""
    program = shutil.which("py-spy", path=Path(sys.executable).parent) or shutil.which("py-spy")
    if program is None:
        raise click.ClickException(
            "py-spy is not installed: pip install py-spy, or this checkout's extra `bench`"
        )
    allow_open_files()
    out.mkdir(parents=True, exist_ok=True)
    suffix = "svg" if kind == "flamegraph" else "speedscope.json"
    with servers() as urls, engine(urls) as site:
        uvloop.run(closed_loop(site.port, CONNECTIONS, Orders(), seconds=WARM_UP))
        recorders = [
            _record(program, pid, out / f"{name}.{suffix}", kind, secs, native=native)
            for name, pid in zip(NAMES, site.pids, strict=True)
        ]
        time.sleep(1)  # until they look
        tally = uvloop.run(closed_loop(site.port, CONNECTIONS, Orders(), seconds=secs))
        for recorder in recorders:
            _until_written(recorder)
        for name in NAMES:
            _untie(out / f"{name}.{suffix}")
        ledger.until_settled(urls[0])
    click.echo(f"{tally.per_second:,.0f} orders/s while recorded; {out}/api.{suffix}, {out}/worker.{suffix}")


def _record(
    program: str, pid: int, file: Path, kind: str, secs: float, *, native: bool
) -> subprocess.Popen[bytes]:
    options = ["--pid", str(pid), "--output", str(file), "--format", kind, "--rate", "200"]
    options += ["--duration", str(max(1, round(secs))), *(["--native"] if native else [])]
    return spawn([program, "record", *options], dies_by=signal.SIGKILL, output=sys.stderr.fileno())


def _until_written(recorder: subprocess.Popen[bytes]) -> None:
    try:
        recorder.wait(60)
    except subprocess.TimeoutExpired:
        stop(recorder, WRITE_UP)
    if recorder.returncode:
        raise click.ClickException(f"py-spy ended with {recorder.returncode}; what it said stands above")


def _untie(graph: Path) -> None:
    """Of the command that made it, what is the same on every machine."""
    graph.write_text(COMMAND.sub(r"py-spy record \1", graph.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()

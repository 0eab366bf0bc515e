"""The command line: `order-engine` and its commands."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from app import __version__
from app.commands.client import load, place, top, watch
from app.commands.preparing import prepare
from app.commands.upkeep import migrate, prune, requeue, show_failures, show_lifecycle
from app.errors import EngineError
from app.settings import LogLevel

STATE_DIR: Final = Path(__file__).resolve().parents[1] / ".order-engine"

Answer = TypeVar("Answer")


class _Commands(click.Group):
    """Errors that the engine knows by name are told in one line."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except EngineError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="order-engine")
def main() -> None:
    """Order execution for token swaps on Solana: durable, exactly once, streamed step by step."""


@main.command(epilog="Example: order-engine run")
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), default=STATE_DIR,
              help="Where the embedded servers keep their data.  [default: .order-engine in the checkout]")  # fmt: skip
def run(data_dir: Path) -> None:
    """Run everything here: servers, migrations, API and worker, and show each order's progress.

    Starts a Postgres and a Redis-compatible server of its own, unless DATABASE_URL and REDIS_URL name others.
    """
    settings = prepare(LogLevel.WARNING)
    from app.dev import supervisor
    from app.terminal.feed import follow_engine

    code = asyncio.run(supervisor.run(settings, state_dir=data_dir, progress=follow_engine))
    raise SystemExit(code)


_processes = click.option(
    "--processes", type=click.IntRange(min=1), default=1, show_default=True,
    help="How many to run, each on a core of its own; one that dies is started again.",
)  # fmt: skip


@main.command(epilog="Example: PORT=8080 order-engine api --processes 2")
@click.option("--fd", type=int, help="An open listening socket to serve on, instead of HOST and PORT.")
@_processes
def api(fd: int | None, processes: int) -> None:
    """Serve the REST and WebSocket API; its documentation is at /docs."""
    settings = prepare()
    if processes > 1:
        from app.processes.crew import run_apis

        if fd is not None:
            raise click.UsageError("--fd is one socket; --processes opens one for each")
        raise SystemExit(asyncio.run(run_apis(processes, settings.host, settings.port)))
    from app.api.app import create_app
    from app.api.server import serve
    from app.runtime import open_api, require

    require(settings.database_url, "DATABASE_URL")
    sockets = None if fd is None else [socket.socket(fileno=fd)]
    _run_service(serve(create_app(settings, open_api), settings, sockets, on_started=_freeze))


@main.command(epilog="Example: WORKER_CONCURRENCY=200 order-engine worker --processes 2")
@_processes
def worker(processes: int) -> None:
    """Execute orders from the queue, until SIGTERM; any number of workers may run."""
    settings = prepare()
    if processes > 1:
        from app.processes.crew import run_workers

        raise SystemExit(asyncio.run(run_workers(processes)))
    from app.runtime import open_worker

    async def work() -> None:
        async with open_worker(settings) as running:
            loop = asyncio.get_running_loop()
            for signum in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(signum, running.stop)
            _freeze()
            await running.run()

    _run_service(work())


def _run_service(service: Coroutine[Any, Any, Answer]) -> Answer:
    import uvloop

    return uvloop.run(service)


def _freeze() -> None:
    """Keeps what start-up made out of garbage collections: it is here to stay, and going through it costs pauses.

    Collections are rarer, too, and full ones very rare: thousands of orders or sockets are no garbage, and with 10,000
    sockets a look at all that they hold takes 0.4 s.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 1_000)


for command in (migrate, watch, place, top, load, requeue, prune, show_lifecycle, show_failures):
    main.add_command(command)

if __name__ == "__main__":
    main()

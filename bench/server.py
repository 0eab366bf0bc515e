"""`make bench-server`: the engine as in production, where `orderbench.toml` says, until Ctrl-C or SIGTERM.

Its data are new at each start. The process ids are in `.order-engine/bench/{api,worker}.pid`; what is killed is started
again at once, as any supervisor would.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import click

from app.dev.embedded import EmbeddedValkey
from app.dev.state import exclusive
from app.errors import EngineError
from app.processes.keeper import Keeper, Program
from app.storage.migrations import migrate
from bench.idle import allow_open_files
from bench.site import COMMAND, STATE, WITHOUT_DELAYS, KnownPostgres, Site

TARGET: Final = Path(__file__).with_name("orderbench.toml")
UNLIMITED: Final = {"API_MAX_ORDERS_PER_MIN": "0"}


class Numbered(Program):
    """A program whose process id stands in a file."""

    def __init__(
        self, name: str, command: Sequence[str], env: Mapping[str, str], pass_fds: Sequence[int], folder: Path
    ) -> None:
        super().__init__(name, command, env, pass_fds)
        self._file = folder / f"{name}.pid"

    def start(self) -> None:
        super().start()
        assert self._process is not None
        self._file.write_text(f"{self._process.pid}\n", encoding="ascii")


async def _serve(target: Mapping[str, Any]) -> None:
    dsn, base_url = urlsplit(target["dsn"]), urlsplit(target["base_url"])
    assert dsn.port is not None
    assert base_url.port is not None
    keeper = Keeper()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    STATE.mkdir(exist_ok=True)
    with exclusive(STATE / "bench") as folder:
        _empty(folder)
        try:
            postgres = KnownPostgres(folder / "postgres", dsn.port, dsn.password or "")
            valkey = EmbeddedValkey(folder / "valkey")
            for server in (postgres, valkey):
                await keeper.start_and_keep(server)
            await asyncio.to_thread(migrate, postgres.url)
            site = Site(postgres.url, valkey.url, {**WITHOUT_DELAYS, **UNLIMITED}, port=base_url.port)
            env, fd = site.environment(), site.door.fileno()
            for name, options in (("worker", []), ("api", ["--fd", str(fd)])):
                program = Numbered(name, [*COMMAND, name, *options], env, [fd], folder)
                await keeper.start_and_keep(program)
            await asyncio.to_thread(site.until_ready)
            click.echo(
                f"{target['base_url']} is ready; process ids are in {STATE / 'bench'}; Ctrl-C stops it"
            )
            await stopped.wait()
        finally:
            await keeper.close()
            _empty(folder)


def _empty(folder: Path) -> None:
    """All but the lock."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != "lock":
            path.unlink()


def main() -> None:
    allow_open_files()
    try:
        asyncio.run(_serve(tomllib.loads(TARGET.read_text(encoding="utf-8"))))
    except EngineError as error:
        sys.exit(f"bench-server: {error}")


if __name__ == "__main__":
    main()

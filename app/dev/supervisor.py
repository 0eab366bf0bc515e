"""`order-engine run`: everything the engine needs, in one terminal, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import click
import httpx
import structlog

from app.dev.banner import banner
from app.dev.embedded import EmbeddedPostgres, EmbeddedValkey
from app.dev.state import exclusive
from app.errors import EngineError
from app.processes.command import COMMAND, child_environment
from app.processes.keeper import Keeper, Program, ended
from app.processes.listening import base_url, listen
from app.processes.stopping import until_signal
from app.settings import LogLevel, Settings

log = structlog.get_logger()

Progress = Callable[[str], Awaitable[None]]

READY_TIME: Final = 60.0  # seconds until the API must be ready


class StartFailed(EngineError):  # noqa: N818  # reads as what it is
    """The engine did not come up; what its processes said stands above."""


async def run(
    settings: Settings,
    *,
    state_dir: Path,
    progress: Progress | None = None,
    command: Sequence[str] = COMMAND,
) -> int:
    """Run the engine until SIGINT, SIGTERM or SIGHUP, then stop it in order; a second signal kills it.

    Returns the exit code: 0 after a signal, 1 when it did not start. `progress` gets the database's URL.
    """
    keeper = Keeper()
    return await until_signal(keeper, _Run(settings, state_dir, progress, command, keeper).live())


class _Run:
    def __init__(
        self,
        settings: Settings,
        state_dir: Path,
        progress: Progress | None,
        command: Sequence[str],
        keeper: Keeper,
    ) -> None:
        self._settings = settings
        self._state_dir = state_dir
        self._progress = progress
        self._command = command
        self._keeper = keeper

    async def live(self) -> None:
        """Ends only by cancellation or by an error."""
        with (
            exclusive(self._state_dir) as folder,
            await listen(self._settings.host, self._settings.port) as door,
        ):
            try:
                await self._start(folder, door)
            finally:
                door.close()  # from here on clients are refused instead of kept waiting
                await self._keeper.close()

    async def _start(self, folder: Path, door: socket.socket) -> None:
        database_url = self._settings.database_url
        if not database_url:
            postgres = EmbeddedPostgres(folder / "postgres")
            await self._keeper.start_and_keep(postgres)
            database_url = postgres.url
        redis_url = self._settings.redis_url
        if not redis_url:
            valkey = EmbeddedValkey(folder / "valkey")
            await self._keeper.start_and_keep(valkey)
            redis_url = valkey.url
        env = self._environment(database_url, redis_url, door)
        await self._migrate(env)
        worker = Program("worker", [*self._command, "worker"], env)
        await self._keeper.start_and_keep(worker)
        fd = door.fileno()
        await self._keeper.start_and_keep(Program("api", [*self._command, "api", "--fd", str(fd)], env, [fd]))
        await _until_ready(base_url(door), worker)
        click.echo(banner(base_url(door), self._state_dir, folder, self._settings))
        await _follow(self._progress, database_url)

    def _environment(self, database_url: str, redis_url: str, door: socket.socket) -> dict[str, str]:
        return {
            **child_environment(),
            # The orders' progress is what this terminal is for, unless somebody asks for more.
            "LOG_LEVEL": self._settings.log_level or LogLevel.WARNING,
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "PORT": str(door.getsockname()[1]),
        }

    async def _migrate(self, env: dict[str, str]) -> None:
        migration = Program("migrate", [*self._command, "migrate"], env)
        await self._keeper.start(migration)
        if code := await ended(migration):
            raise StartFailed(f"the migration of the database failed (exit code {code})")


async def _until_ready(url: str, worker: Program) -> None:
    deadline = time.monotonic() + READY_TIME
    said = "it does not answer"
    async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError):
                answer = await client.get(f"{url}/readyz")
                if answer.is_success and worker.runs:
                    return
                said = answer.text if worker.runs else "its worker does not stay up"
            await asyncio.sleep(0.05)
    raise StartFailed(f"the engine was not ready within {READY_TIME:.0f} s: {said}")


async def _follow(progress: Progress | None, database_url: str) -> None:
    """Show the orders' progress for ever; what goes wrong there is no reason to stop the engine."""
    while progress is not None:
        try:
            await progress(database_url)
        except Exception as error:  # noqa: BLE001  # whatever it is, the engine goes on
            log.warning("progress.failed", error=repr(error))
        await asyncio.sleep(1)
    await asyncio.Event().wait()

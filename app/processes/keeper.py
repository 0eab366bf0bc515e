"""Keeping processes alive: servers and programs, started and stopped the same way."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

import structlog

from app.errors import EngineError
from app.processes.child import Stop, spawn, stop

log = structlog.get_logger()

GRACE: Final = 10.0  # seconds for a program to reach a safe point
FIRST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 5.0
STEADY: Final = 30.0  # seconds after which a process counts as sound, and its next restart is quick again
LOOK: Final = 0.05


class Service(Protocol):
    """A process that can be started again; `start` and the stops block."""

    @property
    def name(self) -> str: ...
    @property
    def exit_code(self) -> int | None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def stop_immediately(self) -> None: ...


class Program:
    """One command of the engine, run as a child."""

    def __init__(
        self, name: str, command: Sequence[str], env: Mapping[str, str], pass_fds: Sequence[int] = ()
    ) -> None:
        self.name = name
        self._command = command
        self._env = env
        self._pass_fds = pass_fds
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def exit_code(self) -> int | None:
        return None if self._process is None else self._process.poll()

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        self._process = spawn(self._command, dies_by=signal.SIGKILL, env=self._env, pass_fds=self._pass_fds)

    def stop(self) -> None:
        if self._process is not None and self.runs:
            stop(self._process, Stop(signal.SIGTERM, GRACE))

    def stop_immediately(self) -> None:
        if self._process is not None and self.runs:
            stop(self._process)


class Keeper:
    """Starts services, starts them again when they die, and stops them: the last one first, or all at once."""

    def __init__(self, *, is_ordered: bool = True) -> None:
        self._is_ordered = is_ordered
        self.services: list[Service] = []
        self._watchers: list[asyncio.Task[None]] = []
        # A child dies with the thread that started it: this one lives as long as the keeper.
        self._starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="starter")

    async def start(self, service: Service) -> None:
        """Raises what the service's own start raises."""
        self.services.append(service)
        await self._start(service)

    async def start_and_keep(self, service: Service) -> None:
        await self.start(service)
        self._watchers.append(asyncio.create_task(self._keep(service), name=f"keep {service.name}"))

    async def close(self) -> None:
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        await self._stop_all()
        await asyncio.to_thread(self._starter.shutdown, cancel_futures=True)
        await self._stop_all()  # what was being started when it was told to stop

    def kill(self) -> None:
        """At once, whatever else is going on."""
        for service in reversed(self.services):
            service.stop_immediately()

    async def _stop_all(self) -> None:
        if self._is_ordered:
            for service in reversed(self.services):
                await asyncio.to_thread(service.stop)
        else:
            await asyncio.gather(*(asyncio.to_thread(service.stop) for service in self.services))

    async def _start(self, service: Service) -> None:
        await asyncio.get_running_loop().run_in_executor(self._starter, service.start)

    async def _keep(self, service: Service) -> None:
        pause = FIRST_PAUSE
        while True:
            since = time.monotonic()
            code = await ended(service)
            pause = FIRST_PAUSE if time.monotonic() - since > STEADY else min(pause * 2, LONGEST_PAUSE)
            log.warning("process.ended", process=service.name, exit_code=code, restart_in=pause)
            await asyncio.sleep(pause)
            try:
                await self._start(service)
            except (EngineError, OSError) as error:
                log.warning("process.not_started", process=service.name, error=str(error))


async def ended(service: Service) -> int:
    """The service's exit code, when it has ended."""
    while (code := service.exit_code) is None:  # noqa: ASYNC110  # works on every loop and system
        await asyncio.sleep(LOOK)
    return code

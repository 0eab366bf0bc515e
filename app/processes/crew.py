"""Several processes of one kind: started together, started again when they die, stopped together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack

from app.processes.command import COMMAND, child_environment
from app.processes.keeper import Keeper, Program
from app.processes.listening import listen
from app.processes.stopping import until_signal


async def run_apis(count: int, host: str, port: int, command: Sequence[str] = COMMAND) -> int:
    """API processes on one port, each with a socket of its own, among which the kernel deals out the connections.

    A connection to one that is being restarted waits. Returns the exit code.
    """
    with await listen(host, port) as probe:  # which finds out whether somebody else shares the port
        port = probe.getsockname()[1]
    with ExitStack() as stack:
        fds = [stack.enter_context(await listen(host, port, is_shared=True)).fileno() for _ in range(count)]
        return await _run([[*command, "api", "--fd", str(fd)] for fd in fds], fds)


async def run_workers(count: int, command: Sequence[str] = COMMAND) -> int:
    """Worker processes. Returns the exit code."""
    return await _run([[*command, "worker"] for _ in range(count)])


async def _run(commands: Sequence[Sequence[str]], fds: Sequence[int] = ()) -> int:
    keeper = Keeper(is_ordered=False)
    programs = [
        Program(f"process {number}", command, child_environment(), fds[number - 1 : number])
        for number, command in enumerate(commands, start=1)
    ]
    return await until_signal(keeper, _live(keeper, programs))


async def _live(keeper: Keeper, programs: Sequence[Program]) -> None:
    """Ends only by cancellation."""
    try:
        for program in programs:
            await keeper.start_and_keep(program)
        await asyncio.Event().wait()
    finally:
        await keeper.close()

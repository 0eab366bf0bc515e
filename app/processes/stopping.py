"""Working until a signal says stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Coroutine, Iterator
from typing import Any, Final

import click

from app.errors import EngineError
from app.processes.keeper import Keeper

INTERRUPTED: Final = 130


async def until_signal(keeper: Keeper, work: Coroutine[Any, Any, None]) -> int:
    """Runs until SIGINT, SIGTERM or SIGHUP, then cancels the work, which stops what it started; a second one kills.

    Returns the exit code: 0 after a signal, 1 when the work ended with an error that the engine knows by name.
    """
    with _signals(keeper) as told_to_stop:
        task = asyncio.create_task(work)
        stop = asyncio.create_task(told_to_stop.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            if task.cancel():
                click.echo("\nStopping …")
            await asyncio.wait({task})
        if task.cancelled():
            return 0
        error = task.exception()
        if not isinstance(error, EngineError):
            task.result()
        click.echo(f"order-engine: {error}", err=True)
    return 1


@contextlib.contextmanager
def _signals(keeper: Keeper) -> Iterator[asyncio.Event]:
    """An event that the first signal sets; the second one kills everything and ends the process."""
    told_to_stop = asyncio.Event()

    def obey() -> None:
        if told_to_stop.is_set():
            keeper.kill()
            os._exit(INTERRUPTED)
        told_to_stop.set()

    loop = asyncio.get_running_loop()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # it is ignored under nohup
        numbers.append(signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, obey)
    try:
        yield told_to_stop
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)

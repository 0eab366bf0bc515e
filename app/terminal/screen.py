"""The terminal: where lines go, and how Ctrl-C ends a command."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from rich.console import Console

# What shells report for a program that Ctrl-C or SIGTERM ended.
INTERRUPTED: Final = 130
TERMINATED: Final = 143


def open_console(*, stderr: bool = False, soft_wrap: bool = True) -> Console:
    """Colours on a terminal, plain text elsewhere; with `soft_wrap` a line is never broken."""
    return Console(stderr=stderr, highlight=False, soft_wrap=soft_wrap, emoji=False, markup=False)


def run_quietly(command: Coroutine[Any, Any, int]) -> int:
    """The exit code of the command; Ctrl-C and SIGTERM end it without a traceback, and it can tidy up before."""
    try:
        return asyncio.run(_ended_by_sigterm(command))
    except KeyboardInterrupt:
        return INTERRUPTED
    except asyncio.CancelledError:
        return TERMINATED


async def _ended_by_sigterm(command: Coroutine[Any, Any, int]) -> int:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await command


def is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False


def is_loopback(url: str) -> bool:
    """Whether the URL names this machine, which no proxy can reach on our behalf."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # a name; or no URL at all, as whoever opens it will say
        return False

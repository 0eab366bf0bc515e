"""The socket that an API answers on: opened by the process above it, so that it stays when the API is restarted."""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from typing import Final

from app.errors import SettingsError

PATIENCE: Final = 5.0  # seconds for a predecessor that was killed to let go of the port
BACKLOG: Final = 2048


async def listen(host: str, port: int, *, is_shared: bool = False) -> socket.socket:
    """A socket that takes connections, which wait while no API runs. Raises SettingsError that names the variable.

    A shared one leaves room on the port for others of the same user; each gets a part of the connections.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return _bound(host, port, is_shared=is_shared)
        except socket.gaierror as error:
            raise SettingsError(
                f"HOST: {host!r} is not an address of this machine ({error.strerror})"
            ) from error
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise SettingsError(
                    f"cannot listen on HOST {host!r}, PORT {port}: {error.strerror}"
                ) from error
            if time.monotonic() > deadline:
                raise SettingsError(
                    f"PORT: {port} is in use by another program; stop that one, or set PORT (PORT=0 picks a free one)"
                ) from error
        await asyncio.sleep(0.1)


def base_url(bound: socket.socket) -> str:
    """The address to type into a browser on this machine."""
    host, port = bound.getsockname()[:2]
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # compared, not bound to
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def _bound(host: str, port: int, *, is_shared: bool) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
        bound.listen(BACKLOG)
    except BaseException:
        bound.close()
        raise
    return bound

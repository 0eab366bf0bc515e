"""A user of one of the existing systems: a checkout of the engine, a shell in it, and the lines of a README."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar, Final
from urllib.parse import urlsplit

import httpx

from app.processes.child import spawn
from tests.compat import stand_ins
from tests.e2e.clients import Json
from tests.e2e.programs import QUICK, ROOT, Launcher, Program, kill_at_once
from tests.support.processes import eventually

# npx would download wscat; the others are used where they are installed.
ALWAYS_STANDING_IN: Final = ("npx", "websocat")
NOT_CHECKED_OUT: Final = (".env", ".git")
SHELL: Final = "/bin/sh"
PORTS: Final = range(20_000, 32_000)  # below those that the system hands out

_PROGRAM: Final = """#!/bin/sh
# The program, keeping what it keeps in this checkout.
command=$1; shift
[ "$command" = run ] && set -- --data-dir "$PWD/.order-engine" "$@"
exec {python} -m app.cli "$command" "$@"
"""
_OFFLINE_NPM: Final = {
    "npm_config_update_notifier": "false",
    "npm_config_fund": "false",
    "npm_config_logs_max": "0",
}


class User(Launcher):
    """Types lines into a shell, in a folder that looks like a checkout whose `npm install` is done.

    The environment makes the venues quick, unless these settings say otherwise, and leaves the rest to `.env`:
    the failure rate is not even an empty variable, which would hide that of `.env`.
    """

    quick: ClassVar[Mapping[str, str]] = {
        name: value for name, value in QUICK.items() if name != "MOCK_DEX_FAILURE_RATE"
    }

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        tools = f"{folder / 'tools'}{os.pathsep}{os.environ['PATH']}"
        super().__init__(folder, **{**_OFFLINE_NPM, "PATH": tools, **settings})
        for path in ROOT.iterdir():
            if path.is_file() and path.name not in NOT_CHECKED_OUT:
                shutil.copy(path, folder)
        _write_program(folder / ".venv/bin/order-engine", _PROGRAM.format(python=sys.executable))
        for tool in stand_ins.TOOLS:
            if tool in ALWAYS_STANDING_IN or not shutil.which(tool):
                line = f'#!/bin/sh\nexec {sys.executable} {stand_ins.__file__} {tool} "$@"\n'
                _write_program(folder / "tools" / tool, line)

    def types(self, lines: str, **settings: str) -> str:
        """What the lines print; fails when the last of them fails."""
        done = self.tries(lines, **settings)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def tries(self, lines: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SHELL, "-c", lines],
            env=self.environment(**settings),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=80,
            check=False,
        )

    def opens_terminal(self, lines: str, **settings: str) -> Program:
        """A terminal in which the lines run on."""
        log = self._new_log("terminal")
        with log.open("wb") as output:
            process = spawn(
                [SHELL, "-c", lines],
                dies_by=signal.SIGKILL,
                env=self.environment(**settings),
                cwd=self.folder,
                output=output.fileno(),
            )
        return self._know(Program(lines, process, log))

    def close(self) -> None:
        # A shell that was told to stop may have left its programs behind.
        for pid in self.left():
            kill_at_once(pid)
        super().close()

    def writes_env(self, text: str) -> None:
        (self.folder / ".env").write_text(text, encoding="utf-8")

    def edits_env(self, **settings: str) -> None:
        """Replaces the values of these variables in `.env`; fails unless each is there."""
        text = (self.folder / ".env").read_text(encoding="utf-8")
        for name, value in settings.items():
            text, number = re.subn(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
            assert number == 1, name
        self.writes_env(text)


@contextmanager
def a_user(folder: Path, **settings: str) -> Iterator[User]:
    """A user whose programs are gone afterwards, whatever happened."""
    user = User(folder, **settings)
    try:
        yield user
    finally:
        user.close()


def here(lines: str, url: str) -> str:
    """The lines of a README with nothing but host and port replaced, and TLS left out."""
    place = f"localhost:{urlsplit(url).port}"
    lines = lines.replace("ws://<PUBLIC_URL>", f"ws://{place}").replace("<PUBLIC_URL>", f"http://{place}")
    return re.sub(r"\b(http|ws)s?://[a-z][\w.-]*(:\d+)?", rf"\1://{place}", lines)


def objects(printed: str) -> list[Json]:
    """The JSON objects in what was printed; those of programs that run side by side may share a line."""
    found, begin = [], printed.find('{"')
    while begin >= 0:
        value, end = json.JSONDecoder().raw_decode(printed, begin)
        found.append(value)
        begin = printed.find('{"', end)
    return found


def a_free_port() -> int:
    while True:
        port = random.choice(PORTS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def until_ready(url: str, *programs: Program, within: float = 80.0) -> None:
    """Fails unless the engine there is ready in time, and these programs still run."""

    def is_ready() -> bool:
        for program in programs:
            assert program.process.poll() is None, f"{program.name} has ended:\n{program.output}"
        with suppress(httpx.TransportError):
            return httpx.get(f"{url}/readyz", timeout=5, trust_env=False, verify=False).is_success
        return False

    eventually(is_ready, within=within)


def _write_program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)

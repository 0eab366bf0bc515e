"""The engine's commands as a user starts them: real processes, none of which outlives its test."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import ClassVar, Final

from app.processes.child import spawn
from tests.support.processes import alive, all_gone, command_line, eventually, family

ROOT: Final = Path(__file__).resolve().parents[2]
ENGINE: Final = (sys.executable, "-m", "app.cli")
ON_TERMINAL: Final = (sys.executable, str(Path(__file__).with_name("on_terminal.py")))
CALL_SECONDS: Final = 80.0
CTRL_C: Final = b"\x03"

# Nothing else of the tests' own environment reaches the engine: no setting, no proxy.
KEPT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
QUICK: Final = {
    "MOCK_DEX_QUOTE_DELAY_MS": "20",
    "MOCK_DEX_EXECUTION_DELAY_MS": "150",
    "MOCK_DEX_FAILURE_RATE": "0",
}
MARK: Final = "ORDER_ENGINE_TEST"

_COLOURS: Final = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Program:
    """A command under way."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.process = process
        self._log = log

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        """What it has printed so far, both outputs together, without the colours of a terminal."""
        printed = self._log.read_text(encoding="utf-8", errors="replace")
        return _COLOURS.sub("", printed).replace("\r\n", "\n")

    @property
    def lines(self) -> list[str]:
        return self.output.splitlines()

    def said(self, text: str) -> bool:
        """Whether it has printed this; fails when it has ended without."""
        ended = self.process.poll() is not None
        found = text in self.output
        assert found or not ended, f"{self.name} ended without a word of {text!r}"
        return found

    def until_said(self, text: str, *, within: float = 60.0) -> None:
        eventually(lambda: self.said(text), within=within)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self, *, within: float = 60.0) -> int:
        """The exit code; negative: the signal that killed it."""
        return self.process.wait(within)


class TerminalProgram(Program):
    """A command on a terminal of its own, where keys can be pressed."""

    def __init__(
        self, name: str, process: subprocess.Popen[bytes], log: Path, terminal: tuple[int, int]
    ) -> None:
        super().__init__(name, process, log)
        self._keyboard, self._screen = terminal
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def press(self, keys: bytes) -> None:
        os.write(self._keyboard, keys)

    def ended(self, *, within: float = 60.0) -> int:
        code = super().ended(within=within)
        self._close()
        return code

    def _close(self) -> None:
        if self._screen >= 0:
            os.close(self._screen)  # the last one to hold it: the reader comes to an end
            self._screen = -1
            self._reader.join()
            os.close(self._keyboard)

    def _read(self) -> None:
        with self._log.open("ab", buffering=0) as log, suppress(OSError):
            while printed := os.read(self._keyboard, 65536):
                log.write(printed)


class Launcher:
    """Starts commands of the engine, and ends with `close` whatever is left of them."""

    quick: ClassVar[Mapping[str, str]] = QUICK  # what the environment says, unless told otherwise

    def __init__(self, folder: Path, **settings: str) -> None:
        self._folder = folder
        self._settings = {**self.quick, **settings}
        self._programs: list[Program] = []
        self._numbers = count(1)

    def start(self, *arguments: str, **settings: str) -> Program:
        return self._start(arguments, settings)

    def start_api(self, door: socket.socket, **settings: str) -> Program:
        """An API that answers on an open socket, which outlives it."""
        return self._start(("api", "--fd", str(door.fileno())), settings, [door.fileno()])

    def start_on_terminal(self, *arguments: str, **settings: str) -> TerminalProgram:
        log = self._new_log(arguments[0])
        log.touch()
        keyboard, screen = pty.openpty()
        process = spawn(
            [*ON_TERMINAL, os.ttyname(screen), *ENGINE, *arguments],
            dies_by=signal.SIGKILL,
            env=self.environment(TERM="xterm-256color", **settings),
            cwd=self._folder,
        )
        program = TerminalProgram(log.stem, process, log, (keyboard, screen))
        self._know(program)
        return program

    def call(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end."""
        return subprocess.run(
            [*ENGINE, *arguments],
            env=self.environment(**settings),
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CALL_SECONDS,
            check=False,
        )

    def environment(self, **settings: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        ours = {"PYTHONPATH": str(ROOT), MARK: str(self._folder)}
        return {**kept, **ours, **self._settings, **settings}

    def left(self) -> dict[int, str]:
        """The processes that were started from here, by whatever process of ours, and still live."""
        return {pid: command_line(pid) for pid in _traces(str(self._folder))}

    def close(self) -> None:
        for program in self._programs:
            if program.process.poll() is None:  # one that was reaped may have given its number to a stranger
                kill_at_once(program.pid)
            program.ended()
            print(f"--- {program.name}\n{program.output}")  # noqa: T201  # shown when the test fails
        all_gone(self.left())

    def _start(
        self, arguments: Sequence[str], settings: Mapping[str, str], pass_fds: Sequence[int] = ()
    ) -> Program:
        log = self._new_log(arguments[0])
        with log.open("wb") as output:
            process = spawn(
                [*ENGINE, *arguments],
                dies_by=signal.SIGKILL,
                env=self.environment(**settings),
                cwd=self._folder,
                output=output.fileno(),
                pass_fds=pass_fds,
            )
        return self._know(Program(log.stem, process, log))

    def _new_log(self, name: str) -> Path:
        return self._folder / f"{name}-{next(self._numbers)}.log"

    def _know(self, program: Program) -> Program:
        self._programs.append(program)
        return program


@contextmanager
def launching(folder: Path, **settings: str) -> Iterator[Launcher]:
    """A launcher whose programs are gone afterwards, whatever happened."""
    launcher = Launcher(folder, **settings)
    try:
        yield launcher
    finally:
        launcher.close()


def kill_at_once(pid: int) -> None:
    """`kill -9` of a process and of all that descend from it, before any of them can react."""
    if not alive(pid):
        return
    _send([pid], signal.SIGSTOP)
    tree = {pid} | family(pid)
    _send(tree, signal.SIGSTOP)
    _send(tree, signal.SIGKILL)
    all_gone(tree)


def _send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _traces(folder: str) -> set[int]:
    """The living processes that name this folder in their command line or environment, or work in it."""
    mentions: tuple[Callable[[Path], bytes], ...] = (
        lambda path: (path / "cmdline").read_bytes(),
        lambda path: (path / "environ").read_bytes(),
        lambda path: bytes((path / "cwd").readlink()),
    )
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        for mention in mentions:
            with suppress(OSError):
                if folder.encode() in mention(path) and alive(int(path.name)):
                    found.add(int(path.name))
    return found

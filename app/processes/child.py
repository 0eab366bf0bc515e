"""Children that die with their parent, and how they are stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from app.processes import tether

TETHER: Final = str(Path(tether.__file__).resolve())


class User(NamedTuple):
    """Whom a child runs as."""

    uid: int
    gid: int


class Stop(NamedTuple):
    """One step towards a child's end: the signal, and the seconds it has to obey it."""

    signal: signal.Signals
    grace: float


def spawn(
    program: Sequence[str],
    *,
    dies_by: signal.Signals,
    user: User | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    output: int | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a child that gets the signal `dies_by` when the calling THREAD ends, and no signal from the terminal.

    `user` needs root. `output` is a file descriptor for both of its outputs; None: those of this process.
    """
    uid, gid = user or (-1, -1)
    ties = [str(number) for number in (os.getpid(), int(dies_by), uid, gid)]
    return subprocess.Popen(  # noqa: S603  # no shell, and the program is ours
        [sys.executable, "-I", "-S", TETHER, *ties, *program],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env=env,
        cwd=cwd,
        pass_fds=pass_fds,
        start_new_session=True,
    )


def stop(process: subprocess.Popen[bytes], *steps: Stop) -> None:
    """End the child: each step in turn until it is gone; SIGKILL is always the last. Returns when it is reaped."""
    for step in steps:
        process.send_signal(step.signal)
        try:
            process.wait(step.grace)
        except subprocess.TimeoutExpired:
            continue
        return
    process.kill()
    process.wait()

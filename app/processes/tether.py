"""Becomes a program that dies with its parent: `tether.py PARENT SIGNAL UID GID PROGRAM [ARGUMENT…]`.

Run by path in a bare interpreter, which the program then replaces under the same process id. The safe stand-in for
a `preexec_fn`, which may hang in a parent that has threads. Only Linux can tie a child to its parent; elsewhere the
program is run without the tie. UID -1 keeps the user.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

PR_SET_PDEATHSIG: Final = 1


def become(arguments: Sequence[str]) -> None:
    parent, death_signal, uid, gid = map(int, arguments[:4])
    program = arguments[4:]
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
        os.umask(0o077)
    for ignored in (signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(ignored, signal.SIG_DFL)  # a background shell job and Python itself leave some ignored
    _die_with_parent(parent, death_signal)
    os.execv(program[0], list(program))  # noqa: S606  # no shell is wanted


def _die_with_parent(parent: int, death_signal: int) -> None:
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0):  # only now: a change of user clears it
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:  # it died before the tie was made
        sys.exit(f"the process {parent} that started this one is gone")


if __name__ == "__main__":
    become(sys.argv[1:])

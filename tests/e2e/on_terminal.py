"""Becomes a program that runs on a terminal of its own: `on_terminal.py TERMINAL PROGRAM [ARGUMENT…]`.

It has to lead a session that has no terminal yet.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    terminal = os.open(
        sys.argv[1], os.O_RDWR
    )  # the first one that a session opens is the one that controls it
    for stream in range(3):
        os.dup2(terminal, stream)
    if terminal > 2:
        os.close(terminal)
    os.execv(sys.argv[2], sys.argv[2:])

"""Starts both embedded servers, prints their process ids and waits to be killed: `hold_servers.py FOLDER`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from app.dev.embedded import EmbeddedPostgres, EmbeddedValkey

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with EmbeddedPostgres(folder / "postgres") as postgres, EmbeddedValkey(folder / "valkey") as valkey:
        print(postgres.pid, valkey.pid, flush=True)  # noqa: T201  # the test reads it
        signal.pause()

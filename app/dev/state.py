"""The folder of one checkout: who uses it, and how it is emptied."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from app.dev.lodging import lodge
from app.errors import EngineError


class StateInUse(EngineError):  # noqa: N818  # reads as what it is
    """Another `order-engine run` holds this folder."""


@contextlib.contextmanager
def exclusive(state_dir: Path) -> Iterator[Path]:
    """The real folder behind `state_dir`, ours alone until this process ends however it ends. Raises StateInUse."""
    folder = lodge(state_dir)
    descriptor = os.open(
        folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600
    )  # no child inherits it
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode().strip()
            raise StateInUse(
                f"an engine is already running on {state_dir} (process {holder}); stop it first"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield folder
    finally:
        os.close(descriptor)


def erase(state_dir: Path) -> None:
    """Delete the data of the embedded servers for good. Raises StateInUse."""
    if not os.path.lexists(state_dir):
        return
    with exclusive(state_dir) as folder:
        shutil.rmtree(folder)
    if state_dir.is_symlink():
        state_dir.unlink()


if __name__ == "__main__":
    try:
        erase(Path(sys.argv[1]))
    except EngineError as error:
        sys.exit(f"order-engine: {error}")

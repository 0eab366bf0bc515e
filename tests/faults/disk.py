"""A disk of a few megabytes that can be filled to the last byte and freed; takes root, and leaves nothing mounted."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

BLOCK: Final = bytes(4096)


class TinyDisk:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        with suppress(OSError), self._ballast.open("ab", buffering=0) as file:
            while file.write(BLOCK):
                pass

    def free(self) -> None:
        self._ballast.unlink(missing_ok=True)


@contextmanager
def tiny_disk(folder: Path, megabytes: int) -> Iterator[TinyDisk]:
    """Mounted at a new folder; where that is not allowed, the test is skipped."""
    folder.mkdir()
    options = f"size={megabytes}m,mode=711"
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mount.returncode != 0:
        pytest.skip(f"no disk can be mounted here: {mount.stderr.strip()}")
    try:
        yield TinyDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)

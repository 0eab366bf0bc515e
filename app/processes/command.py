"""How this program starts itself again as a child."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

COMMAND: Final = (sys.executable, "-m", "app.cli")

_ROOT: Final = Path(__file__).resolve().parents[2]


def child_environment() -> dict[str, str]:
    """This process's environment, in which the child finds the same code from any folder."""
    path = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{_ROOT}{os.pathsep}{path}" if path else str(_ROOT)}

"""The schema that this version of the code works with."""

from __future__ import annotations

from typing import Final

REVISION: Final = "0002"

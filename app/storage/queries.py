"""Loads `queries.sql`: one named statement per paragraph, its reason in the line above it."""

from __future__ import annotations

import re
from importlib import resources
from types import MappingProxyType
from typing import Final, LiteralString, cast

_STATEMENT: Final = re.compile(r"^-- (?P<name>\w+): .+\n(?P<sql>(?:(?!-- \w+: ).*\n?)+)", re.MULTILINE)


def load_queries(package: str) -> MappingProxyType[str, LiteralString]:
    """The statements of a package's `queries.sql` by name."""
    text = (resources.files(package) / "queries.sql").read_text("utf-8")
    # Files of our own, never input: as safe as if they stood in the code.
    return MappingProxyType(
        {m["name"]: cast("LiteralString", m["sql"].strip()) for m in _STATEMENT.finditer(text)}
    )


QUERIES: Final = load_queries("app.storage")

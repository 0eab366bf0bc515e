"""How an operation is described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """One successful (or at least intended) answer of a call; `headers` and `links` name components of the document."""

    description: str
    schema: type | None
    example: Any = None
    headers: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    media_type: str = "application/json"


class Operation(NamedTuple):
    """`parameters` name components of the document; `problems` are codes of the catalogue."""

    tag: str
    summary: str
    description: str
    answers: Mapping[int, Answer]
    problems: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    takes_order: bool = False
    messages: Mapping[str, Any] | None = None

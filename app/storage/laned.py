"""What is open for as long as its lane is."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from app.storage.group_commit import GroupCommit


class Laned:
    """Opens and closes with its lane, through which all that it writes goes."""

    _lane: GroupCommit[Any, Any]

    async def __aenter__(self) -> Self:
        await self._lane.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._lane.__aexit__(exc_type, exc, tb)

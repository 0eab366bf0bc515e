"""Callers that wait for a group commit, and how they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Generic, TypeVar

from app.errors import StorageUnavailable

Item = TypeVar("Item")
Result = TypeVar("Result")


class Waiting(Generic[Item, Result]):
    """An item on its way, and its caller."""

    __slots__ = ("future", "item")

    def __init__(self, item: Item, future: asyncio.Future[Result]) -> None:
        self.item = item
        self.future = future

    def settle(self, result: Result | Exception) -> None:
        settle(self.future, result)


def settle(future: asyncio.Future[Result], result: Result | Exception) -> None:
    """Tells one caller, unless it has been cancelled meanwhile: its item is committed all the same."""
    if future.done():
        return
    if isinstance(result, StorageUnavailable):
        # Each caller raises its own: one raised by thousands would drag thousands of tracebacks along.
        future.set_exception(StorageUnavailable(*result.args))
    elif isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


def fail(batch: Iterable[Waiting[Any, Any]], error: Exception) -> None:
    for waiting in batch:
        waiting.settle(error)


def lost(error: Exception) -> StorageUnavailable:
    """What callers are told whose items may or may not have been stored."""
    return StorageUnavailable(f"the database did not answer: {error or type(error).__name__}")

"""Exceptions out of the group in which a task group raises them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ungrouped(kind: type[Exception]) -> Iterator[None]:
    """Raises the first of this kind itself, where a task group ends with nothing else.

    What `except*` raises comes out in a group again before Python 3.11.4.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        ours, others = group.split(kind)
        if ours is None or others is not None:
            raise
        raise ours.exceptions[0] from None

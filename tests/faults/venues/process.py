"""A process whose awaits are counted, and which is dead at one of them: nothing of it ever goes on."""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar
from typing import Any, Final, TypeVar

Result = TypeVar("Result")
BURIAL_SECONDS: Final = 5.0
AnyCoroutine = Coroutine[Any, Any, Any]

_ours: Final[ContextVar[Process | None]] = ContextVar("process", default=None)


class Died(BaseException):
    """The process is dead; not an error that anything in it could handle."""


class Process:
    """Every task that starts in it belongs to it, and whatever those start; they die together.

    At await number `dies_at` (0: never) `on_death` is told what was awaited, and nothing is resumed any more.
    """

    def __init__(self, dies_at: int, on_death: Callable[[object], object]) -> None:
        self.dies_at = dies_at
        self.awaits = 0
        self.is_dead = False
        self.is_buried = False
        self._on_death = on_death
        self._death: asyncio.Future[None] | None = None
        self._tasks: list[asyncio.Task[Any]] = []

    async def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """What the coroutine comes to in this process. Raises Died when that dies meanwhile."""
        loop = asyncio.get_running_loop()
        loop.set_task_factory(_start)
        self._death = self._death or loop.create_future()
        token = _ours.set(self)
        task = asyncio.create_task(coroutine)
        _ours.reset(token)
        try:
            ends: set[asyncio.Future[Any]] = {task, self._death}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not self.is_dead and not task.done():
                task.cancel()
        if self.is_dead:
            raise Died
        return task.result()

    async def bury(self) -> None:
        """Removes what is left of it."""
        self.is_buried = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=BURIAL_SECONDS)

    def adopt(self, task: asyncio.Task[Any]) -> None:
        self._tasks.append(task)

    def suspends(self, awaited: object) -> None:
        """One of its tasks waits for something."""
        self.awaits += 1
        if self.awaits == self.dies_at:
            self.is_dead = True
            self._on_death(awaited)
            if self._death is not None:
                self._death.set_result(None)


def outside(coroutine: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
    """The coroutine in a task that belongs to no process: the world goes on when one dies."""
    return Context().run(asyncio.create_task, coroutine)


def _start(loop: asyncio.AbstractEventLoop, coroutine: Any, **kwargs: Any) -> asyncio.Task[Any]:
    process = _ours.get()
    if process is None:
        return asyncio.Task(coroutine, loop=loop, **kwargs)
    task = asyncio.Task(_live(coroutine, process), loop=loop, **kwargs)
    process.adopt(task)
    return task


async def _live(coroutine: AnyCoroutine, process: Process) -> Any:
    return await _Counted(coroutine, process)


class _Counted:
    """Drives a coroutine from one await to the next, as long as its process lives."""

    def __init__(self, coroutine: AnyCoroutine, process: Process) -> None:
        self._coroutine = coroutine
        self._process = process

    def __await__(self) -> Generator[Any, Any, Any]:
        resume: Callable[[Any], Any] = self._coroutine.send
        value: Any = None
        while not self._process.is_dead:
            try:
                awaited = resume(value)
            except StopIteration as end:
                return end.value
            self._process.suspends(awaited)
            if not self._process.is_dead:
                try:
                    value = yield awaited
                    resume = self._coroutine.send
                except BaseException as error:  # noqa: BLE001  # it is the coroutine's
                    value, resume = error, self._coroutine.throw
        _keep(self._coroutine)
        if not self._process.is_buried:
            yield from asyncio.get_running_loop().create_future()
        raise asyncio.CancelledError


def _keep(coroutine: AnyCoroutine) -> None:
    """For ever: one that is collected is closed first, and cleans up behind itself as no dead process does."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(coroutine))

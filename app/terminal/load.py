"""Load on a running engine: orders at a fixed rate, followed to their ends over one WebSocket."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, NamedTuple, NoReturn

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from app.orders.lifecycle import Status
from app.terminal.connection import NotFollowed, http_client, require_http
from app.terminal.log_feed import follow_log
from app.terminal.outcomes import Outcomes
from app.terminal.place import NotPlaced
from app.terminal.placing import Placing
from app.terminal.report import report
from app.terminal.screen import open_console

ALL_ENDED: Final = 0
NOT_ENDED: Final = 1
NOTHING_ACCEPTED: Final = 2

FRAME_SECONDS: Final = 0.25  # from one state of the progress bar to the next
ANSWER_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 1.0  # from one look at orders whose ends may have been missed to the next


class Plan(NamedTuple):
    """`rate` orders a second for some seconds, over so many connections; `wait` seconds for the last ones to end."""

    rate: float
    seconds: float
    connections: int
    wait: float
    order: Mapping[str, Any]  # the body of each POST, without a wallet


async def load(base_url: str, plan: Plan, *, console: Console | None = None) -> int:
    """Places the orders, waits for their ends and prints a summary, also when it is cancelled.

    0: all that was accepted has ended; 1: not all; 2: nothing was accepted, or the engine is not there. The reason has
    been printed then.
    """
    out = console or open_console()
    try:
        require_http(base_url)
        async with http_client(base_url, connections=plan.connections, seconds=ANSWER_SECONDS) as client:
            return await _Load(client, base_url, plan, out).run()
    except (NotFollowed, NotPlaced) as error:
        out.print(str(error))
        return NOTHING_ACCEPTED


class _Load:
    def __init__(self, client: httpx.AsyncClient, base_url: str, plan: Plan, out: Console) -> None:
        # A wallet of this run's own: its orders can be told from all others, here and in the lists.
        self._wallet = f"load-{secrets.token_hex(4)}"
        self._client = client
        self._base_url = base_url
        self._plan = plan
        self._out = out
        self._outcomes = Outcomes()
        order = {**plan.order, "wallet": self._wallet}
        self._placing = Placing(client, order, self._outcomes.answered, plan.connections)

    async def run(self) -> int:
        log = asyncio.create_task(follow_log(self._base_url, self._outcomes, wallet=self._wallet))
        try:
            await _unless_ended(log, self._outcomes.is_standing.wait())
            try:
                await _unless_ended(log, self._place_and_wait())
            except NotFollowed as error:
                self._out.print(str(error))
            except asyncio.CancelledError:
                self._report()
                raise
        finally:
            log.cancel()
            await asyncio.gather(log, return_exceptions=True)
        self._report()
        if not self._outcomes.accepted:
            return NOTHING_ACCEPTED
        return NOT_ENDED if self._outcomes.under_way else ALL_ENDED

    def _report(self) -> None:
        for line in report(self._placing, self._outcomes, self._plan.rate, self._plan.seconds):
            self._out.print(line)
        self._out.print(f"all of them: GET /api/orders?wallet={self._wallet}", style="dim")

    async def _place_and_wait(self) -> None:
        async with self._bars():
            await self._placing.run(self._plan.rate, self._plan.seconds)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._plan.wait):
                    await self._until_all_ended()

    async def _until_all_ended(self) -> None:
        while self._outcomes.under_way:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._outcomes.until_all_ended(), LOOK_SECONDS)
            if self._outcomes.has_missed:
                with suppress(httpx.HTTPError):
                    await self._look_up()

    async def _look_up(self) -> None:
        """The log was cut short for whoever was away: the orders themselves say how they ended."""
        for order_id in self._outcomes.open():
            response = await self._client.get(f"/api/orders/{order_id}")
            order = response.raise_for_status().json()
            self._outcomes.found(order_id, order["status"], (order["failure"] or {}).get("code"))

    @asynccontextmanager
    async def _bars(self) -> AsyncIterator[None]:
        """A bar of the orders placed and one of those that have ended, where there is a terminal to draw on."""
        columns = TextColumn("{task.description:<6}"), BarColumn(), TextColumn("{task.fields[counts]}")
        progress = Progress(
            *columns, console=self._out, auto_refresh=False, disable=not self._out.is_terminal
        )
        placed = progress.add_task("placed", counts="", total=round(self._plan.rate * self._plan.seconds))
        ended = progress.add_task("ended", counts="")

        async def draw() -> None:
            while True:
                self._draw(progress, placed, ended)
                await asyncio.sleep(FRAME_SECONDS)

        with progress:
            drawing = asyncio.create_task(draw())
            try:
                yield
            finally:
                drawing.cancel()
                self._draw(progress, placed, ended)

    def _draw(self, progress: Progress, placed: TaskID, ended: TaskID) -> None:
        sent, accepted, over = self._placing.sent, self._outcomes.accepted, self._outcomes.ended
        behind = f", {self._placing.waiting:,} overdue" if self._placing.waiting else ""
        refused = sum(n for code, n in self._placing.codes.items() if code != httpx.codes.CREATED)
        counts = f"{sent:,} of {progress.tasks[placed].total:,.0f}, {refused:,} refused{behind}"
        progress.update(placed, completed=sent, counts=counts)
        counts = f"{over.total():,} of {accepted:,}, {over[Status.FAILED]:,} failed"
        progress.update(ended, completed=over.total(), total=accepted or None, counts=counts)
        progress.refresh()


async def _unless_ended(log: asyncio.Task[NoReturn], work: Coroutine[Any, Any, object]) -> None:
    """Does the work; raises what ended the log when that ends first."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({log, task}, return_when=asyncio.FIRST_COMPLETED)
        await (task if task.done() else log)
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})

"""The engine's pulse and its newest orders, live in the terminal."""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import suppress
from time import monotonic
from typing import Final, NoReturn

import httpx
import msgspec
from rich.console import Console
from rich.live import Live

from app.terminal.board import MAX_ROWS, Board, read_snapshot
from app.terminal.connection import PATIENCE, NotFollowed, Patience, http_client, require_http
from app.terminal.frame import Frame
from app.terminal.log_feed import follow_log
from app.terminal.pulse import Pulse, heading, pulse_row, read_pulse
from app.terminal.render import Step
from app.terminal.screen import open_console
from app.terminal.ungrouped import ungrouped
from app.terminal.watch import NOT_FOLLOWED

PULSE_SECONDS: Final = 1.0
FRAME_SECONDS: Final = 0.25  # from one frame to the next at least
ROWS_PER_HEADING: Final = 20

# How the orders on the screen are kept current.
SNAPSHOT: Final = "snapshot"
LIVE: Final = "live"
CUT: Final = "reconnecting"
STALE_SECONDS: Final = 5.0  # after which it is said how old the figures are


async def top(base_url: str, *, once: bool = False, console: Console | None = None) -> int:
    """Shows what the engine does until it is cancelled, or one frame of it.

    Where there is no screen to draw on, a row of figures a second takes its place. 0: the one frame was shown; 2: the
    engine was not found, or has been away for too long.
    """
    out = console or open_console(soft_wrap=False)
    try:
        require_http(base_url)
        async with http_client(base_url) as client:
            scene = _Scene(base_url, client)
            await scene.read_all()
            if once:
                out.print(scene.frame())
                return 0
            if out.is_terminal and not out.is_dumb_terminal:
                await _draw_live(scene, out)
            await _print_rows(scene, out)
    except NotFollowed as error:
        out.print(str(error))
    return NOT_FOLLOWED


class _Scene:
    """What is known of the engine."""

    def __init__(self, base_url: str, client: httpx.AsyncClient) -> None:
        self.base_url = base_url
        self.changed = asyncio.Event()
        self._pulse: Pulse | None = None
        self._client = client
        self._pulse_at = monotonic()
        self._board = Board()
        self._position = 0
        self._link = SNAPSHOT

    def frame(self) -> Frame:
        return Frame(self.base_url, self._state(), self._now(), self._pulse, self._board)

    def row(self) -> str:
        assert self._pulse is not None
        return pulse_row(self._pulse)

    async def read_all(self) -> None:
        """Raises NotFollowed when there is no engine to ask."""
        patience = Patience(self.base_url, 0)
        try:
            self._position = await self._read_orders()
            await self.read_pulse()
        except httpx.HTTPStatusError as error:
            patience.judge_refusal(error.response.status_code)
        except httpx.HTTPError as error:
            patience.judge_cut(error)
        except msgspec.DecodeError:
            raise NotFollowed(f"{self.base_url} does not answer as an order engine.") from None

    async def read_pulse(self) -> None:
        self._pulse = read_pulse(await self._get("/api/stats"))
        self._pulse_at = monotonic()
        self.changed.set()

    async def keep_pulse(self) -> NoReturn:
        while True:
            await asyncio.sleep(PULSE_SECONDS)
            with suppress(httpx.HTTPError, msgspec.DecodeError):  # the frame says how old the figures are
                await self.read_pulse()

    async def follow(self) -> NoReturn:
        patience = Patience(self.base_url, PATIENCE)
        patience.renew()  # it has answered, so a lost connection is a cut from the first
        await follow_log(self.base_url, self, after=self._position, patience=patience)

    def standing(self, position: int) -> None:  # noqa: ARG002  # a watcher's
        self._link = LIVE
        self.changed.set()

    def heard(self, step: Step) -> None:
        self._board.move(step)
        self.changed.set()

    def cut(self) -> None:
        self._link = CUT
        self.changed.set()

    async def missed(self, after: int, oldest: int) -> int:  # noqa: ARG002  # a watcher's
        return await self._read_orders()

    async def _read_orders(self) -> int:
        snapshot = read_snapshot(await self._get(f"/api/orders?limit={MAX_ROWS}"))
        self._board.show(snapshot)
        self.changed.set()
        return snapshot.as_of

    async def _get(self, path: str) -> bytes:
        response = await self._client.get(path)
        return response.raise_for_status().content

    def _now(self) -> dt.datetime | None:
        """By the engine's clock: this machine's may be off."""
        if self._pulse is None:
            return None
        return self._pulse.ts + dt.timedelta(seconds=monotonic() - self._pulse_at)

    def _state(self) -> str:
        silent = monotonic() - self._pulse_at
        is_stale = self._link == LIVE and silent >= STALE_SECONDS
        return f"no figures for {silent:.0f} s" if is_stale else self._link


async def _draw_live(scene: _Scene, out: Console) -> NoReturn:
    live = Live(console=out, screen=True, auto_refresh=False, get_renderable=scene.frame)
    with live, ungrouped(NotFollowed):
        async with asyncio.TaskGroup() as group:
            group.create_task(scene.follow())
            group.create_task(scene.keep_pulse())
            group.create_task(_redraw(scene, live))
    raise AssertionError  # its tasks never end


async def _redraw(scene: _Scene, live: Live) -> NoReturn:
    while True:
        live.refresh()
        await asyncio.sleep(FRAME_SECONDS)
        with suppress(TimeoutError):  # ages grow, even when nothing happens
            await asyncio.wait_for(scene.changed.wait(), PULSE_SECONDS)
        scene.changed.clear()


async def _print_rows(scene: _Scene, out: Console) -> NoReturn:
    patience = Patience(scene.base_url, PATIENCE)
    patience.renew()
    printed = 0
    while True:
        try:
            await scene.read_pulse()
        except (httpx.HTTPError, msgspec.DecodeError) as error:
            patience.judge_cut(error)
            await patience.pause()
            continue
        patience.renew()
        if printed % ROWS_PER_HEADING == 0:
            out.print(heading())
        out.print(scene.row())
        printed += 1
        await asyncio.sleep(PULSE_SECONDS)

"""Following all orders over WebSocket, through cuts, until somebody ends it."""

from __future__ import annotations

from rich.console import Console

from app.terminal.connection import NotFollowed
from app.terminal.log_feed import follow_log
from app.terminal.render import Step, feed_line
from app.terminal.screen import open_console
from app.terminal.watch import NOT_FOLLOWED


async def watch_all(base_url: str, *, since: int | None = None, console: Console | None = None) -> int:
    """Shows the steps of all orders after this position of the log (default: from now on) until it is cancelled.

    However it ends, it says where another one would go on. 2: the engine was not found, or has been away for too long.
    """
    lines = _Lines(console or open_console(), since)
    try:
        await follow_log(base_url, lines, after=since)
    except NotFollowed as error:
        lines.console.print(str(error))
    finally:
        lines.tell_position()
    return NOT_FOLLOWED


class _Lines:
    """A line for each step."""

    def __init__(self, console: Console, position: int | None) -> None:
        self.console = console
        self._position = position

    def standing(self, position: int) -> None:
        self._position = position

    def heard(self, step: Step) -> None:
        self.console.print(feed_line(step))
        self._position = step.position

    def cut(self) -> None:
        self.console.print("connection lost, reconnecting", style="dim")

    async def missed(self, after: int, oldest: int) -> int:
        if oldest <= after:
            self._position = None
            raise NotFollowed(f"The log has no position {after} yet: it is another one, or was set back.")
        self.console.print(
            f"A gap: of what came after position {after}, only what came after {oldest} is still kept.",
            style="yellow",
        )
        return oldest

    def tell_position(self) -> None:
        if self._position is not None:
            self.console.print(
                f"To go on from here: order-engine watch --since {self._position}", style="dim"
            )

"""What `order-engine top` draws: the pulse above, the newest orders below, in as many rows and columns as there are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from rich.console import Console, ConsoleOptions, Group, JustifyMethod, RenderResult
from rich.table import Table
from rich.text import Text

from app.terminal.board import Board, Entry
from app.terminal.pulse import Pulse, pulse_lines, span
from app.terminal.render import COLOURS, number, printable, short_id

# Each status has a shape of its own, too: colours are not for everybody.
SHAPES: Final = {
    "pending": "○", "routing": "◔", "building": "◑", "submitted": "◕", "retrying": "↻", "confirmed": "●", "failed": "✕"
}  # fmt: skip
ROWS: Final = 20  # of orders, where the height is not given


class Column(NamedTuple):
    name: str
    least_width: int  # of the whole frame: in a narrower one the column is left out
    is_number: bool
    width: int  # at least, so that columns stay where they are
    cell: Callable[[Entry, dt.datetime | None], Text]


class Frame(NamedTuple):
    """What is known at this moment; `now` is the engine's time, None while that is unknown."""

    url: str
    state: str  # how it is connected
    now: dt.datetime | None
    pulse: Pulse | None
    board: Board

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        head = [self._title(width), *self._pulse_lines(width), Text()]
        rows = ROWS if options.height is None else max(0, options.height - len(head) - 1)
        yield Group(*head, self._orders(rows, width))

    def _title(self, width: int) -> Text:
        right = f"{self.now.astimezone():%H:%M:%S}  {self.state}" if self.now else self.state
        left = Text.assemble(("order-engine", "bold"), f"  {printable(self.url)}")
        left.truncate(max(0, width - len(right) - 2), overflow="ellipsis")
        gap = max(1, width - len(left) - len(right))
        return left.append(" " * gap).append(right, "green" if self.state == "live" else "yellow")

    def _pulse_lines(self, width: int) -> Sequence[Text]:
        if self.pulse is None:
            return [Text("no figures yet", "dim")]
        lines = pulse_lines(self.pulse, width)
        for line in lines:
            line.truncate(width, overflow="ellipsis")
        return lines

    def _orders(self, rows: int, width: int) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        columns = [column for column in COLUMNS if width >= column.least_width]
        for column in columns:
            justify: JustifyMethod = "right" if column.is_number else "left"
            table.add_column(column.name, justify=justify, min_width=column.width, no_wrap=True)
        for entry in self.board.newest(rows):
            table.add_row(*(column.cell(entry, self.now) for column in columns))
        return table


def _age(entry: Entry, now: dt.datetime | None) -> Text:
    return Text(span((now - entry.created_at).total_seconds()) if now else "–")


def _took(entry: Entry, _: dt.datetime | None) -> Text:
    return Text(span(entry.took.total_seconds()) if entry.is_final else "")


def _amount(entry: Entry, _: dt.datetime | None) -> Text:
    amount = "?" if entry.amount is None else number(entry.amount)
    return Text(printable(f"{amount} {entry.token_in}"))


def _received(entry: Entry, _: dt.datetime | None) -> Text:
    if entry.amount_out is not None and entry.is_final:
        return Text(printable(f"{number(entry.amount_out)} {entry.token_out}"))
    if entry.failure is not None:
        return Text(printable(entry.failure.code), COLOURS.get(entry.status, ""))
    return Text(printable(f"… {entry.token_out}"), "dim")


def _status(entry: Entry, _: dt.datetime | None) -> Text:
    shape = SHAPES.get(entry.status, "·")
    return Text(f"{shape} {printable(entry.status)}", COLOURS.get(entry.status, ""))


COLUMNS: Final = (
    Column("age", 0, True, 5, _age),
    Column("took", 64, True, 5, _took),
    Column("amount", 0, True, 8, _amount),
    Column("received", 0, False, 17, _received),
    Column("status", 0, False, 11, _status),
    Column("venue", 64, False, 7, lambda entry, _: Text(printable(entry.dex or ""))),
    Column("order", 72, False, 8, lambda entry, _: Text(short_id(entry.order_id))),
    Column("wallet", 110, False, 13, lambda entry, _: Text(printable(entry.wallet or ""))),
)

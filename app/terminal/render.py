"""Steps of orders as lines of text: pure, so that what a person reads can be tested."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec
from rich.text import Text

from app.orders.lifecycle import FINAL
from app.orders.model import OrderEvent

COLOURS: Final = {
    "pending": "default",
    "routing": "cyan",
    "building": "blue",
    "submitted": "magenta",
    "retrying": "yellow",
    "confirmed": "bold green",
    "failed": "bold red",
}
FUNDS: Final = {
    "no": "No funds moved.",
    "yes": "Funds moved.",
    "unknown": "It is not known yet whether funds moved.",
}
STATUS_WIDTH: Final = max(map(len, COLOURS))

# Numbers keep the digits in which they were sent.
_DATA: Final = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
_ORDER: Final = msgspec.json.Decoder(dict[str, Any] | None, float_hook=Decimal)


class Step(msgspec.Struct, frozen=True):
    """One event of an order; a status that this program does not know yet is shown as it is."""

    order_id: str
    sequence: int
    status: str
    at: dt.datetime
    data: Mapping[str, Any]
    position: int = 0  # in the log of all orders; 0: not told
    order: Mapping[str, Any] | None = None  # what was asked for, in the first step of a stream of many orders

    @property
    def is_final(self) -> bool:
        return self.status in FINAL


class _Message(msgspec.Struct, rename="camel"):
    order_id: str
    sequence: int
    status: str
    timestamp: dt.datetime
    data: msgspec.Raw
    position: int = 0
    order: msgspec.Raw = msgspec.Raw(b"null")


class _Refusal(msgspec.Struct):
    message: str


_REFUSAL: Final = msgspec.json.Decoder(_Refusal)
_MESSAGE: Final = msgspec.json.Decoder(_Message)


def step_of_message(message: str | bytes) -> Step:
    """The step in an enveloped WebSocket message. Raises msgspec.DecodeError when it holds none."""
    sent = _MESSAGE.decode(message)
    data, order = _DATA.decode(sent.data), _ORDER.decode(sent.order)
    return Step(sent.order_id, sent.sequence, sent.status, sent.timestamp, data, sent.position, order)


def refusal_of_message(message: str | bytes) -> str:
    """What an error message says, or nothing when it says nothing."""
    try:
        return printable(_REFUSAL.decode(message).message)
    except msgspec.DecodeError:
        return ""


def step_of_event(event: OrderEvent) -> Step:
    at = dt.datetime.fromisoformat(event.at)
    return Step(str(event.order_id), event.sequence, event.status, at, _DATA.decode(event.data))


def watch_line(step: Step, previous: Step | None) -> Text:
    """A line for one followed order: sequence, status, time since the step before, facts."""
    waited = f"+{(step.at - previous.at).total_seconds():.2f} s" if previous else ""
    line = Text(f"{step.sequence:>3}  ")
    line.append(f"{printable(step.status):<{STATUS_WIDTH}}", COLOURS.get(step.status, ""))
    line.append(f"  {waited:>9}  ", "dim")
    return line.append(facts(step))


def feed_line(step: Step) -> Text:
    """A line among those of many orders: local time, order, status, facts."""
    line = Text(f"{_local_time(step.at)}  ", "dim")
    line.append(f"{short_id(step.order_id)}  ", "default")
    line.append(f"{printable(step.status):<{STATUS_WIDTH}}  ", COLOURS.get(step.status, ""))
    return line.append(facts(step), "default")


def crowd_line(steps: Sequence[OrderEvent]) -> Text:
    """One line for more steps than anybody reads."""
    orders = len({step.order_id for step in steps})
    counts = Counter(step.status for step in steps)
    named = ", ".join(f"{counts[status]:,} {status}" for status in counts)
    return Text(
        f"{_local_time(dt.datetime.fromisoformat(steps[-1].at))}  {orders:,} orders moved: {named}", "dim"
    )


def facts(step: Step) -> str:
    """What matters about the step, in plain words."""
    describe = _FACTS.get(step.status)
    try:
        if step.order is not None:
            return printable(_order(step.order))
        return printable(describe(step.data)) if describe else ""
    except (KeyError, TypeError, ValueError):  # data of another version: the status alone is still right
        return ""


def short_id(order_id: str | UUID) -> str:
    """The end of the id: its beginning is the time, the same for all orders of the hour."""
    return str(order_id)[-8:]


def printable(text: str) -> str:
    """The text without anything that could move the cursor or change the terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _order(order: Mapping[str, Any]) -> str:
    sold = f"{number(order['amount'])} {order['tokenIn']} for {order['tokenOut']}"
    wallet = f", wallet {order['wallet']}" if order.get("wallet") else ""
    return f"{sold}, {order['slippageBps']} bps{wallet}"


def _building(data: Mapping[str, Any]) -> str:
    offers = [
        f"{quote['dex']} {number(quote['price'])} (fee {_percent(quote['fee'])})" for quote in data["quotes"]
    ]
    absent = [f"{venue['dex']} no quote ({venue['code']})" for venue in data.get("unavailable", ())]
    return f"{data['dex']} chosen: {', '.join(offers + absent)}"


def _submitted(data: Mapping[str, Any]) -> str:
    return f"{data['dex']}, transaction {_short(data['txHash'])}, at least {number(data['minAmountOut'])}"


def _confirmed(data: Mapping[str, Any]) -> str:
    return f"received {number(data['amountOut'])} at {number(data['executedPrice'])} on {data['dex']}"


def _retrying(data: Mapping[str, Any]) -> str:
    due = _local_time(dt.datetime.fromisoformat(data["nextAttemptAt"]))
    return f"attempt {data['attempt']} of {data['maxAttempts']}: {data['message']} Next try at {due}."


def _failed(data: Mapping[str, Any]) -> str:
    return f"{data['message']} {FUNDS.get(data['fundsMoved'], '')} ({data['code']})"


_FACTS: Final = {
    "pending": lambda _: "accepted",
    "routing": lambda data: "asking the venues" if data["attempt"] == 1 else f"attempt {data['attempt']}",
    "building": _building,
    "submitted": _submitted,
    "confirmed": _confirmed,
    "retrying": _retrying,
    "failed": _failed,
}


def _local_time(at: dt.datetime) -> str:
    return f"{at.astimezone():%H:%M:%S}.{at.microsecond // 1000:03}"


def number(value: Decimal | int) -> str:
    """With all its digits, in groups of three."""
    return f"{value:,f}" if isinstance(value, Decimal) else f"{value:,}"


def _percent(fraction: Decimal | int) -> str:
    return f"{(Decimal(fraction) * 100).normalize():f} %"


def _short(signature: str) -> str:
    return f"{signature[:8]}…{signature[-4:]}"

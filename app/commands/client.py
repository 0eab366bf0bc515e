"""Commands of those who place orders: they talk to a running engine."""

from __future__ import annotations

import re
from typing import Any, Final

import click

from app.commands.preparing import own_url

_DURATION: Final = re.compile(r"(?P<number>[0-9]{1,6}(\.[0-9]{1,3})?)(?P<unit>ms|s|m|h)?")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

_url = click.option(
    "--url",
    envvar="ORDER_ENGINE_URL",
    help="The engine's address.  [default: ORDER_ENGINE_URL, or HOST and PORT]",
)


class _Duration(click.ParamType[float]):
    """A time such as 500ms, 30s or 2m, in seconds."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        match = _DURATION.fullmatch(str(value))
        if match is None:
            self.fail(
                f"{value!r} is no time; say a number and a unit, as in 500ms, 30s, 2m or 1h", param, ctx
            )
        return float(match["number"]) * _SECONDS[match["unit"] or "s"]


class _Pair(click.ParamType[tuple[str, str]]):
    """Two tokens, the one to sell first."""

    name = "PAIR"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        token_in, slash, token_out = str(value).partition("/")
        if not (token_in and slash and token_out):
            self.fail(f"{value!r} is no pair; say what to sell and what to buy, as in SOL/USDC", param, ctx)
        return token_in, token_out


@click.command(epilog="Example: order-engine watch 01928c5e-7f3a-7c1e-9d43-2b6f0a1c8e57")
@click.argument("order_id", metavar="[ORDERID]", required=False)
@click.option(
    "--after", type=click.IntRange(min=0), help="Of one order: skip the steps up to this sequence number."
)
@click.option(
    "--since", type=click.IntRange(min=0), metavar="POSITION",
    help="Of all orders: begin after this position of the log.  [default: now]",
)  # fmt: skip
@_url
def watch(order_id: str | None, after: int | None, since: int | None, url: str | None) -> None:
    """Follow an order over WebSocket, its steps appearing as they happen; without an ORDERID, all orders.

    Exit code: 0 confirmed, 1 failed, 2 not found or unreachable. Following all orders ends with Ctrl-C, and prints
    where to go on.
    """
    from app.terminal.screen import run_quietly
    from app.terminal.watch import watch as follow
    from app.terminal.watch_all import watch_all

    if order_id is None:
        if after is not None:
            raise click.UsageError("--after belongs to one order; for all of them say --since")
        raise SystemExit(run_quietly(watch_all(url or own_url(), since=since)))
    if since is not None:
        raise click.UsageError("--since is for all orders; of one order skip steps with --after")
    raise SystemExit(run_quietly(follow(url or own_url(), order_id, after=after or 0)))


@click.command(epilog="Example: order-engine top")
@click.option("--once", is_flag=True, help="Print one frame, and end.")
@_url
def top(once: bool, url: str | None) -> None:
    """Show the engine's pulse and its newest orders, live, until Ctrl-C.

    Where the output is no terminal, a row of figures a second. Exit code: 2 unreachable.
    """
    from app.terminal.screen import run_quietly
    from app.terminal.top import top as show

    raise SystemExit(run_quietly(show(url or own_url(), once=once)))


@click.command(epilog="Example: order-engine load --rate 50 --for 30s")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), default=50, show_default=True,
              help="Orders a second, sent at their times whether or not earlier ones are answered.")  # fmt: skip
@click.option("--for", "seconds", type=_Duration(), default="30s", show_default=True, help="How long.")
@click.option("--concurrency", type=click.IntRange(1, 1000), default=64, show_default=True,
              help="Connections: how many POSTs can be under way.")  # fmt: skip
@click.option(
    "--pair", type=_Pair(), default="SOL/USDC", show_default=True, help="What to sell, and for what."
)
@click.option("--amount", default="1", show_default=True, help="How much of it, in whole tokens.")
@click.option("--slippage-bps", type=int, help="Tolerance in basis points (1/100 of a percent).")
@click.option("--wait", type=_Duration(), default="60s", show_default=True,
              help="How long to wait for the last orders to end.")  # fmt: skip
@_url
def load(  # noqa: PLR0917  # click passes by name
    rate: float, seconds: float, concurrency: int, pair: tuple[str, str], amount: str, slippage_bps: int | None,
    wait: float, url: str | None,
) -> None:  # fmt: skip
    """Place orders at a fixed rate, follow each to its end, and sum up.

    Latencies count from the moment when an order was due, however late it was sent.
    Exit code: 0 all that was accepted has ended, 1 not all of it, 2 nothing was accepted or unreachable.
    """
    from app.terminal.load import Plan
    from app.terminal.load import load as place_all
    from app.terminal.place import order_body
    from app.terminal.screen import run_quietly

    if round(rate * seconds) < 1:
        raise click.UsageError("no order is due in that time: raise --rate or --for")
    body = order_body(*pair, amount, slippage_bps=slippage_bps)
    raise SystemExit(run_quietly(place_all(url or own_url(), Plan(rate, seconds, concurrency, wait, body))))


@click.command(epilog="Example: order-engine place SOL USDC 1.25 --slippage-bps 100")
@click.argument("token_in")
@click.argument("token_out")
@click.argument("amount")
@click.option("--slippage-bps", type=int, help="Tolerance in basis points (1/100 of a percent).")
@click.option("--wallet", help="The wallet that the order belongs to.")
@click.option("--key", help="An idempotency key: placing again with it places nothing.")
@_url
def place(  # noqa: PLR0917  # click passes by name
    token_in: str, token_out: str, amount: str, slippage_bps: int | None, wallet: str | None, key: str | None,
    url: str | None,
) -> None:  # fmt: skip
    """Sell AMOUNT of TOKEN_IN for TOKEN_OUT, and follow the order.

    Exit code: 0 confirmed, 1 failed, 2 not placed or unreachable.
    """
    from app.terminal.place import NotPlaced
    from app.terminal.place import place as post
    from app.terminal.screen import run_quietly
    from app.terminal.watch import watch as follow

    async def place_and_follow() -> int:
        base_url = url or own_url()
        try:
            order_id = await post(
                base_url,
                token_in=token_in,
                token_out=token_out,
                amount=amount,
                slippage_bps=slippage_bps,
                wallet=wallet,
                key=key,
            )
        except NotPlaced:  # it has said why
            return 2
        return await follow(base_url, order_id)

    raise SystemExit(run_quietly(place_and_follow()))

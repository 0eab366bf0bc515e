"""Placing an order from the terminal: one POST, safe to repeat, and its refusal in plain words."""

from __future__ import annotations

import asyncio
from typing import Any, Final
from uuid import uuid4

import httpx
import msgspec
from rich.console import Console

from app.errors import EngineError
from app.terminal.connection import http_client
from app.terminal.render import printable
from app.terminal.screen import open_console

TRIES: Final = 3
FIRST_BACKOFF: Final = 0.3
EXECUTE: Final = "/api/orders/execute"


class Placed(msgspec.Struct, frozen=True, rename="camel"):
    """The answer to an order that was accepted."""

    order_id: str
    idempotent: bool = False


class NotPlaced(EngineError):  # noqa: N818  # reads as what it is
    """The order was not placed; why has been printed."""


async def place(
    base_url: str,
    *,
    token_in: str,
    token_out: str,
    amount: str,
    slippage_bps: int | None = None,
    wallet: str | None = None,
    key: str | None = None,
    console: Console | None = None,
) -> str:
    """The id of the order that was placed; `amount` is in whole tokens, sent as written. Raises NotPlaced."""
    body = order_body(token_in, token_out, amount, slippage_bps=slippage_bps, wallet=wallet)
    out = console or open_console()
    try:
        # With a key of our own when there is none, so that a lost answer can be asked for again.
        response = await _post(base_url, body, key or uuid4().hex)
        return _placed(response, out)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        reason = printable(str(error)) or type(error).__name__
        out.print(f"{base_url} did not take the order: {reason}")
        raise NotPlaced(reason) from error


def order_body(
    token_in: str, token_out: str, amount: str, *, slippage_bps: int | None = None, wallet: str | None = None
) -> dict[str, Any]:
    """The body of a POST, without what the engine decides."""
    optional = {"slippageBps": slippage_bps, "wallet": wallet}
    body = {"type": "market", "tokenIn": token_in, "tokenOut": token_out, "amount": amount}
    return body | {name: value for name, value in optional.items() if value is not None}


async def _post(base_url: str, body: dict[str, Any], key: str) -> httpx.Response:
    async with http_client(base_url) as client:
        for attempt in range(TRIES - 1):
            try:
                response = await client.post(EXECUTE, json=body, headers={"idempotency-key": key})
            except (httpx.ConnectError, httpx.UnsupportedProtocol):  # nothing was sent
                raise
            except httpx.TransportError:
                pass
            else:
                if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    return response
            await asyncio.sleep(FIRST_BACKOFF * 2**attempt)
        return await client.post(EXECUTE, json=body, headers={"idempotency-key": key})


def _placed(response: httpx.Response, out: Console) -> str:
    try:
        if response.is_success:
            placed = msgspec.json.decode(response.content, type=Placed)
            again = ", placed before with this key" if placed.idempotent else ""
            out.print(f"order {printable(placed.order_id)}{again}")
            return placed.order_id
        problem = msgspec.json.decode(response.content, type=dict[str, Any])
    except msgspec.DecodeError:
        raise ValueError(f"it answered {response.status_code}, and not as an order engine") from None
    lines = problem_lines(response.status_code, problem)
    for line in lines:
        out.print(line)
    raise NotPlaced("\n".join(lines))


def problem_lines(status_code: int, problem: dict[str, Any]) -> list[str]:
    """A problem (RFC 9457) in plain words: what it is, then a line per field."""
    title = problem.get("title") or f"The server answered {status_code}"
    fields = [
        f"  {str(error.get('pointer', '')).removeprefix('#/') or 'the body'}: {error.get('detail', '')}"
        for error in problem.get("errors") or ()
    ]
    detail = problem.get("detail")
    first = f"{title}: {detail}" if detail and not fields else str(title)
    return [printable(line) for line in (first, *fields)]

"""Places an order so that it is placed exactly once, and watches it to its end, whatever the network does.

    python examples/python_client.py [AMOUNT]                                the engine at http://localhost:3000
    BASE_URL=https://engine.example python examples/python_client.py 0.5     another engine

Needs Python 3.11 or newer: pip install httpx websockets
Exit code: 0 confirmed, 1 failed, 2 the engine did not do as asked.
"""
# ruff: noqa: INP001, T201  # a script, which prints

from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

BASE_URL = os.environ.get("BASE_URL", "http://localhost:3000").rstrip("/")
WS_URL = BASE_URL.replace("http", "ws", 1)
WORTH_ANOTHER_TRY = {408, 429, 500, 502, 503, 504}
ATTEMPTS = 5
PATIENCE = 120.0  # seconds for the order to end


class RefusedError(Exception):
    """The engine understood, and said no."""


async def place(order: dict[str, Any]) -> str:
    """The id of the order; the key makes it safe to ask again when nobody knows whether the first request arrived."""
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    async with httpx.AsyncClient(base_url=BASE_URL, timeout=10) as client:
        for attempt in range(1, ATTEMPTS + 1):
            pause = 0.2 * 2**attempt
            try:
                answer = await client.post("/api/orders/execute", json=order, headers=headers)
            except httpx.TransportError as error:
                print(f"attempt {attempt}: {error!r}")
            else:
                if answer.is_success:
                    accepted = answer.json()
                    print(f"order {accepted['orderId']}" + (" (a repeat)" if accepted["idempotent"] else ""))
                    return str(accepted["orderId"])
                print(f"attempt {attempt}: {answer.text}")
                if answer.status_code not in WORTH_ANOTHER_TRY:
                    raise RefusedError(answer.json()["detail"])
                pause = float(answer.headers.get("Retry-After", pause))
            await asyncio.sleep(pause)
    raise RefusedError(f"no answer in {ATTEMPTS} attempts")


async def watch(order_id: str) -> AsyncIterator[dict[str, Any]]:
    """Every event of the order, once and in order, over as many connections as that takes."""
    after = 0
    while True:
        try:
            async with connect(f"{WS_URL}/ws/orders/{order_id}?after={after}") as socket:
                async for message in socket:
                    event = json.loads(message)
                    if event["type"] == "error":
                        if event["code"] != "storage_unavailable":
                            raise RefusedError(event["message"])
                        break
                    after = event["sequence"]
                    yield event
                    if event["status"] in {"confirmed", "failed"}:
                        return
        except (OSError, WebSocketException) as error:
            print(f"disconnected after event {after}: {error!r}")
        await asyncio.sleep(0.5)


async def main() -> int:
    amount = sys.argv[1] if len(sys.argv) > 1 else "1.25"
    order = {"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": amount, "slippageBps": 300}
    status = "unknown"
    try:
        async with asyncio.timeout(PATIENCE):
            async for event in watch(await place(order)):
                status = event["status"]
                print(event["sequence"], status, json.dumps(event["data"]))
    except (RefusedError, TimeoutError) as error:
        print(f"not done: {error!r}", file=sys.stderr)
        return 2
    return 0 if status == "confirmed" else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

"""Stores an order first and executes it later: of several callers that execute it at once exactly one succeeds.

    python examples/two_step.py [AMOUNT]                                the engine at http://localhost:3000
    BASE_URL=https://engine.example python examples/two_step.py 0.5     another engine

Needs Python 3.11 or newer: pip install httpx
Exit code: 0 confirmed, 1 failed, 2 the engine did not do as asked.
"""
# ruff: noqa: INP001, T201  # a script, which prints

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import httpx

BASE_URL = os.environ.get("BASE_URL", "http://localhost:3000")
CALLERS = 5
PATIENCE = 120.0  # seconds for the order to end


async def store(client: httpx.AsyncClient, amount: str) -> str:
    order = {"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": amount, "slippageBps": 300}
    answer = await client.post("/api/orders", json=order)
    answer.raise_for_status()
    return str(answer.json()["orderId"])


async def execute(client: httpx.AsyncClient, order_id: str) -> bool:
    """Whether it was this caller that executed the order."""
    answer = await client.post(f"/api/orders/{order_id}/execute")
    if answer.status_code == httpx.codes.CONFLICT:
        return False
    answer.raise_for_status()
    return True


async def final(client: httpx.AsyncClient, order_id: str) -> dict[str, Any]:
    """The order, when it has ended."""
    while True:
        answer = await client.get(f"/api/orders/{order_id}")
        answer.raise_for_status()
        order: dict[str, Any] = answer.json()
        if order["status"] in {"confirmed", "failed"}:
            return order
        await asyncio.sleep(0.25)


async def main() -> int:
    amount = sys.argv[1] if len(sys.argv) > 1 else "1.25"
    try:
        async with asyncio.timeout(PATIENCE), httpx.AsyncClient(base_url=BASE_URL, timeout=10) as client:
            order_id = await store(client, amount)
            print(f"order {order_id} is stored")
            executed = await asyncio.gather(*(execute(client, order_id) for _ in range(CALLERS)))
            print(f"{sum(executed)} of {CALLERS} callers executed it")
            order = await final(client, order_id)
    except (httpx.HTTPError, TimeoutError) as error:
        print(f"not done: {error!r}", file=sys.stderr)
        return 2
    print(
        f"order {order_id} is {order['status']}, amount out: {order['amountOut']}, failure: {order['failure']}"
    )
    return 0 if order["status"] == "confirmed" else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

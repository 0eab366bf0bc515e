"""`order-engine place` and `watch` as a user runs them: what they print, how they end, and how Ctrl-C ends them."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Sequence

from tests.e2e.clients import STEPS, client_of, place
from tests.e2e.conftest import Running
from tests.e2e.programs import CTRL_C, Launcher
from tests.support.processes import linux_only

pytestmark = linux_only

STRANGER = "01928c5e-7f3a-7c1e-9d43-2b6f0a1c8e57"
STABLE_PAIR = ("USDC", "USDT", "10")  # its price does not move enough to make up for what an execution costs


def steps_in(printed: str) -> list[str]:
    """The steps that a watcher printed, in order; fails unless they are numbered from 1 on without a gap."""
    rows = re.findall(r"^ +(\d+)  (\w+) ", printed, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, len(rows) + 1))
    return [status for _, status in rows]


def id_in(printed: str) -> str:
    found = re.match(r"order ([0-9a-f-]{36})", printed)
    assert found is not None
    return found[1]


def test_place_shows_every_step_and_ends_with_0_when_the_order_is_confirmed(
    launcher: Launcher, engine: Running
) -> None:
    done = launcher.call("place", "SOL", "USDC", "1.25", ORDER_ENGINE_URL=engine.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert steps_in(done.stdout) == STEPS
    assert re.search(r"confirmed .* received [\d.]+ at [\d.]+ on (raydium|meteora)", done.stdout)


def test_place_ends_with_1_when_the_order_fails_and_says_why(launcher: Launcher, engine: Running) -> None:
    done = launcher.call("place", *STABLE_PAIR, "--slippage-bps", "1", "--url", engine.url)
    assert (done.returncode, done.stderr) == (1, "")
    assert steps_in(done.stdout) == [*STEPS[:-1], "failed"]
    assert "No funds moved. (slippage_exceeded)" in done.stdout


def test_place_with_a_key_that_was_used_places_nothing_more(launcher: Launcher, engine: Running) -> None:
    arguments = ("place", "SOL", "USDC", "2", "--key", "placed-twice", "--url", engine.url)
    first, again = launcher.call(*arguments), launcher.call(*arguments)
    assert (first.returncode, again.returncode) == (0, 0)
    assert id_in(again.stdout) == id_in(first.stdout)
    assert ", placed before with this key" in again.stdout
    assert steps_in(again.stdout) == STEPS
    other = launcher.call(*arguments, "--slippage-bps", "77")
    assert (other.returncode, other.stderr) == (2, "")
    assert "idempotency key" in other.stdout


def test_what_cannot_be_placed_or_followed_ends_with_2_and_a_reason(
    launcher: Launcher, engine: Running
) -> None:
    nobody = socket.socket()
    nobody.bind(("127.0.0.1", 0))  # and does not listen, so that nobody else does
    free = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    cases: Sequence[tuple[list[str], str, str]] = (
        (["place", "SOL", "USDC", "0"], engine.url, "amount"),
        (["place", "SOL", "DOGE", "1"], engine.url, "tokenOut"),
        (["place", "SOL", "USDC", "1"], free, f"{free} did not take the order"),
        (["watch", STRANGER], engine.url, f"Order {STRANGER} cannot be followed: "),
        (["watch", "no-order"], engine.url, "Order no-order cannot be followed"),
        (["watch", STRANGER], free, f"{free} cannot be reached: nothing listens there."),
        (["watch"], free, f"{free} cannot be reached: nothing listens there."),
        (["load"], free, f"{free} cannot be reached: nothing listens there."),
        (["top"], free, f"{free} cannot be reached: "),
    )
    with nobody:
        for arguments, url, reason in cases:
            done = launcher.call(*arguments, "--url", url)
            assert (done.returncode, done.stderr) == (2, "")
            assert reason in done.stdout


async def test_watch_of_a_finished_order_shows_its_steps_from_where_it_is_told(
    launcher: Launcher, engine: Running
) -> None:
    async with client_of(engine.url) as client:
        order_id = await place(client)
    whole = launcher.call("watch", order_id, "--url", engine.url)
    assert whole.returncode == 0
    assert steps_in(whole.stdout) == STEPS
    part = launcher.call("watch", order_id, "--after", "3", "--url", engine.url)
    assert part.returncode == 0
    assert part.stdout.splitlines()[-1] == whole.stdout.splitlines()[-1]
    assert re.findall(r"^ +(\d+) ", part.stdout, re.MULTILINE) == ["4", "5"]


async def test_watch_on_a_terminal_shows_steps_as_they_happen_and_ctrl_c_ends_it_quietly(
    launcher: Launcher, engine: Running
) -> None:
    async with client_of(engine.url) as client:
        stored = await client.post(
            "/api/orders", json={"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": 1}
        )
        order_id = stored.json()["orderId"]
        interrupted, patient = (
            launcher.start_on_terminal("watch", order_id, "--url", engine.url) for _ in range(2)
        )
        for watcher in (interrupted, patient):
            watcher.until_said("pending")
        assert steps_in(interrupted.output) == ["pending"]

        interrupted.press(CTRL_C)
        assert interrupted.ended() == 128 + signal.SIGINT
        assert steps_in(interrupted.output) == ["pending"]
        assert [line for line in interrupted.lines if not line.startswith("  ")] == ["^C"]

        assert (await client.post(f"/api/orders/{order_id}/execute")).status_code == 202
    assert patient.ended() == 0
    assert steps_in(patient.output) == STEPS

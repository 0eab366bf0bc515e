"""`order-engine run` on a terminal: what the first user sees, and what is there after the worst end."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.clients import (
    PATHS,
    STEPS,
    Json,
    client_of,
    finished,
    get,
    place,
    place_many,
    statuses,
    until,
    watch_to_the_end,
)
from tests.e2e.ledger import Books
from tests.e2e.programs import CTRL_C, Launcher, TerminalProgram, kill_at_once, launching
from tests.support.processes import alive, eventually, family, linux_only

pytestmark = [linux_only, pytest.mark.skipif(not shutil.which("curl"), reason="the banner's lines need curl")]

SERVICES = ("app.cli api", "app.cli worker", "bin/postgres", "valkey-server")


@pytest.fixture
def launcher(data_dir: Path) -> Iterator[Launcher]:
    """One whose folder embedded servers can reach, so that they are among the processes it knows by it."""
    with launching(data_dir) as launcher:
        yield launcher


def run_engine(launcher: Launcher, data_dir: Path, **settings: str) -> TerminalProgram:
    engine = launcher.start_on_terminal("run", "--data-dir", str(data_dir / "data"), PORT="0", **settings)
    engine.until_said("Stop: Ctrl-C", within=60)
    return engine


def url_of(engine: TerminalProgram) -> str:
    found = re.search(r"The engine is ready, with its console, at (\S+)", engine.output)
    assert found is not None
    return found[1]


def run_the_printed_lines(engine: TerminalProgram) -> tuple[Json, Json]:
    """The answers to the two curl lines of the banner, pasted as they stand into a shell."""
    post, read = (line for line in engine.lines if line.strip().startswith("curl "))
    answers = [
        subprocess.run(line, shell=True, capture_output=True, check=True, timeout=30).stdout
        for line in (post, read)
    ]
    return json.loads(answers[0]), json.loads(answers[1])


def steps_on_screen(engine: TerminalProgram, order_id: str) -> list[str]:
    return [line.split()[2] for line in engine.lines if f" {order_id[-8:]} " in line]


def books_of(launcher: Launcher, data_dir: Path) -> Books:
    """A look into the embedded Postgres of the engine that runs now."""
    (port,) = {
        found[1] for line in launcher.left().values() if (found := re.search(r"postgres .*port=(\d+)", line))
    }
    password = (data_dir / "data" / "postgres" / "password").read_text()
    return Books(f"postgresql://order_engine:{password}@127.0.0.1:{port}/postgres")


def nothing_is_left(launcher: Launcher, members: set[int]) -> None:
    eventually(lambda: not launcher.left())
    assert not {pid for pid in members if alive(pid)}


async def test_from_an_empty_folder_the_printed_lines_take_an_order_to_its_end(
    launcher: Launcher, data_dir: Path
) -> None:
    engine = run_engine(launcher, data_dir)
    assert [name for name in SERVICES if not any(name in line for line in launcher.left().values())] == []

    placed, listed = run_the_printed_lines(engine)
    order_id = placed["orderId"]
    assert [order["orderId"] for order in listed["orders"]] == [order_id]
    async with client_of(url_of(engine)) as client:
        watched = [await watch_to_the_end(client, order_id, path) for path in PATHS]
        assert (await client.get("/docs")).status_code == 200
        flat, flat_too, enveloped = watched
        assert [statuses(messages) for messages in watched] == [STEPS] * 3
        assert flat == flat_too == (await get(client, order_id))["events"]
    assert [{"orderId": m["orderId"], "sequence": m["sequence"], "status": m["status"], "ts": m["timestamp"],
             **m["data"]} for m in enveloped] == flat  # fmt: skip
    await until(lambda: steps_on_screen(engine, order_id) == STEPS)

    members = family(engine.pid)
    engine.press(CTRL_C)
    assert engine.ended() == 0
    assert engine.lines[-1] == "Stopping …"
    nothing_is_left(launcher, members)


async def test_after_everything_is_killed_the_next_run_has_the_orders_and_finishes_them(
    launcher: Launcher, data_dir: Path
) -> None:
    first = run_engine(launcher, data_dir, MOCK_DEX_EXECUTION_DELAY_MS="1200")
    async with client_of(url_of(first)) as client:
        earlier = await finished(client, await place(client))
        # Some are on their way to the chain, and some wait, when the end comes.
        unfinished = await place_many(client, 5, slippageBps=500)
        await until(lambda: all("submitted" in steps_on_screen(first, order) for order in unfinished))
        unfinished += await place_many(client, 5, slippageBps=500)
    kill_at_once(first.pid)
    assert first.ended() == -signal.SIGKILL
    nothing_is_left(launcher, set())

    second = run_engine(launcher, data_dir)
    async with client_of(url_of(second)) as client:
        assert await get(client, earlier["orderId"]) == earlier
        ended = await asyncio.gather(*(finished(client, order) for order in unfinished))
        assert {order["status"] for order in ended} == {"confirmed"}
        assert all(statuses(order["events"]) == STEPS for order in ended)
        (_, listed) = run_the_printed_lines(second)
        assert len(listed["orders"]) == 5
    await until(books_of(launcher, data_dir).all_ended)
    assert await books_of(launcher, data_dir).violations() == {}
    members = family(second.pid)
    second.send(signal.SIGTERM)
    assert second.ended() == 0
    nothing_is_left(launcher, members)

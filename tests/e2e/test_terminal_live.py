"""`order-engine top` and `watch` of all orders as a user runs them, on a real engine."""

from __future__ import annotations

import asyncio
import re
import signal

import pytest

from tests.e2e.clients import client_of, finished, place, place_many, until
from tests.e2e.ledger import Books
from tests.e2e.live import SIZES, ended, said
from tests.e2e.premises import Api, Site
from tests.e2e.programs import CTRL_C, Launcher
from tests.support.processes import linux_only
from tests.support.wire import Wire

pytestmark = linux_only


def steps_in(printed: str) -> list[tuple[str, str]]:
    """The end of an order's id, and a status, in the order in which a watcher printed them."""
    return re.findall(r"^\d\d:\d\d:\d\d\.\d{3}  ([0-9a-f]{8})  (\w+)", printed, re.MULTILINE)


def log_of(books: Books, after: int = 0) -> list[tuple[str, str]]:
    """The same, as the ledger has it."""
    return books.rows(
        "SELECT right(order_id::text, 8), status::text FROM order_events WHERE position > %s ORDER BY position",
        after,
    )


async def test_top_once_prints_one_frame(launcher: Launcher, api: Api) -> None:
    async with client_of(api.url) as client:
        order_id = await place(client, wallet="of-top-once")
        await finished(client, order_id)
    done = await asyncio.to_thread(launcher.call, "top", "--once", "--url", api.url, **SIZES["wide"])
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert " orders/s " in done.stdout
    (line,) = (line for line in done.stdout.splitlines() if order_id[-8:] in line)
    assert re.search(r"1\.25 SOL +[\d.]+ USDC +● confirmed +(raydium|meteora) .*of-top-once", line)


@pytest.mark.parametrize("size", SIZES)
async def test_top_on_a_terminal_shows_orders_as_they_move_and_ctrl_c_ends_it(
    launcher: Launcher, api: Api, size: str
) -> None:
    program = launcher.start_on_terminal("top", "--url", api.url, **SIZES[size])
    await said(program, "live")
    async with client_of(api.url) as client:
        order_id = await place(client)
        shown = rf"● confirmed +(raydium|meteora) +{order_id[-8:]}"
        await until(lambda: re.search(shown, program.output), within=40)
    program.press(CTRL_C)
    assert await ended(program) == 128 + signal.SIGINT
    assert "Traceback" not in program.output


async def test_top_goes_on_after_a_cut(launcher: Launcher, api: Api, wire: Wire) -> None:
    program = launcher.start_on_terminal("top", "--url", wire.through_url(api.url), **SIZES["small"])
    await said(program, "live")
    wire.cut()
    await said(program, "reconnecting")
    async with client_of(api.url) as client:
        order_id = await place(client)
        await finished(client, order_id)
    wire.mend()
    await until(lambda: re.search(rf"● confirmed +\w+ +{order_id[-8:]}", program.output), within=40)
    program.send(signal.SIGTERM)
    assert await ended(program) == 128 + signal.SIGTERM


async def test_top_without_a_terminal_prints_a_row_a_second(launcher: Launcher, api: Api) -> None:
    program = launcher.start("top", "--url", api.url)
    await until(lambda: len(program.lines) >= 3, within=40)
    program.send(signal.SIGTERM)
    assert await ended(program) == 128 + signal.SIGTERM
    assert program.lines[0].split()[:2] == ["time", "orders/s"]
    assert all(re.match(r"\d\d:\d\d:\d\d +[\d.]+ ", line) for line in program.lines[1:])


async def test_watch_of_all_orders_resumes_without_a_missed_or_doubled_step(
    launcher: Launcher, busy_site: Site, api: Api, wire: Wire
) -> None:
    books = busy_site.books
    (began,) = books.rows("SELECT coalesce(max(position), 0) FROM order_events")[0]
    url = wire.through_url(api.url)
    program = launcher.start("watch", "--since", str(began), "--url", url)
    async with client_of(api.url) as client:
        for number in range(1, 5):
            orders = await place_many(client, 5)
            await said(program, orders[0][-8:])
            wire.cut()
            wire.mend()
            if number == 2:  # leave in the middle, and come back
                program.send(signal.SIGTERM)
                assert await ended(program) == 128 + signal.SIGTERM
                first = program.output
                found = re.search(r"order-engine watch --since (\d+)\n$", first)
                assert found is not None
                program = launcher.start("watch", "--since", found[1], "--url", url)
        await until(books.all_ended, within=60)
    written = log_of(books, began)
    await until(lambda: len(steps_in(first + program.output)) >= len(written), within=40)
    assert steps_in(first + program.output) == written


async def test_watch_of_all_orders_begins_now_and_tells_what_was_asked_for(
    launcher: Launcher, api: Api
) -> None:
    async with client_of(api.url) as client:
        old = await place(client)
        await finished(client, old)
        program = launcher.start_on_terminal("watch", "--url", api.url, **SIZES["wide"])
        async with asyncio.timeout(40):
            while (
                "1.25 SOL for USDC, 50 bps, wallet of-watch" not in program.output
            ):  # nobody knows since when
                await place(client, wallet="of-watch")
                await asyncio.sleep(0.1)
    program.press(CTRL_C)
    assert await ended(program) == 128 + signal.SIGINT
    assert old[-8:] not in program.output
    assert "To go on from here: order-engine watch --since " in program.output


def test_a_position_that_the_log_has_not_reached_is_not_followed(launcher: Launcher, api: Api) -> None:
    done = launcher.call("watch", "--since", "999999999", "--url", api.url)
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.startswith("The log has no position 999999999 yet")


def test_options_of_one_order_and_of_all_are_not_mixed(launcher: Launcher) -> None:
    for arguments in (["--after", "3"], ["01928c5e-7f3a-7c1e-9d43-2b6f0a1c8e57", "--since", "3"]):
        done = launcher.call("watch", *arguments)
        assert done.returncode == 2
        assert "--since" in done.stderr

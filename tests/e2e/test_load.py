"""`order-engine load` as a user runs it, on a real engine."""

from __future__ import annotations

import re

import pytest

from tests.e2e.clients import until
from tests.e2e.ledger import Books
from tests.e2e.live import SIZES, UNLIMITED, ended, said
from tests.e2e.premises import Api, Site
from tests.e2e.programs import CTRL_C, Launcher
from tests.support.processes import linux_only
from tests.support.wire import Wire

pytestmark = linux_only


def wallet_in(summary: str) -> str:
    found = re.search(r"wallet=(load-[0-9a-f]+)", summary)
    assert found is not None
    return found[1]


def statuses_of(books: Books, wallet: str) -> dict[str, int]:
    return dict(books.rows("SELECT status::text, count(*) FROM orders WHERE wallet = %s GROUP BY 1", wallet))


def test_load_places_at_the_rate_waits_for_the_ends_and_sums_up(
    launcher: Launcher, busy_site: Site, api: Api
) -> None:
    done = launcher.call("load", "--rate", "20", "--for", "2s", "--slippage-bps", "500", "--url", api.url)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "40 of 40 orders, 20 a second for 2 s" in done.stdout
    assert re.search(r"^accepted +40: 40 confirmed, 0 failed, 0 not ended$", done.stdout, re.MULTILINE)
    assert re.search(r"^answers +40 × 201$", done.stdout, re.MULTILINE)
    assert re.search(r"^POST +([\d,]+ ms +){4}of 40$", done.stdout, re.MULTILINE)
    assert re.search(r"^POST to confirmed +([\d,]+ ms +){4}of 40$", done.stdout, re.MULTILINE)
    assert statuses_of(busy_site.books, wallet_in(done.stdout)) == {"confirmed": 40}


async def test_load_draws_its_progress_on_a_terminal_and_sums_up_at_ctrl_c(
    launcher: Launcher, api: Api
) -> None:
    program = launcher.start_on_terminal(
        "load", "--rate", "5", "--for", "10m", "--url", api.url, **SIZES["small"]
    )
    await until(lambda: re.search(r"ended .* [1-9]\d* of \d+, 0 failed", program.output), within=40)
    assert "of 3,000, 0 refused" in program.output
    program.press(CTRL_C)
    assert await ended(program) == 130
    assert re.search(r"accepted +\d+: \d+ confirmed", program.output)


async def test_load_through_a_network_that_is_cut_loses_no_order(
    launcher: Launcher, busy_site: Site, api: Api, wire: Wire
) -> None:
    program = launcher.start(
        "load", "--rate", "10", "--for", "10s", "--slippage-bps", "500", "--url", wire.through_url(api.url)
    )
    expected = 2  # the log, and an order
    for _ in range(3):
        await until(lambda: wire.accepted >= expected, within=40)  # noqa: B023  # awaited before the next round
        expected = wire.accepted + 2
        wire.cut()
        wire.mend()
    assert await ended(program) == 0
    summary = re.search(r"accepted +(\d+): (\d+) confirmed, 0 failed, 0 not ended", program.output)
    assert summary is not None
    accepted = int(summary[1])
    assert statuses_of(busy_site.books, wallet_in(program.output)) == {"confirmed": accepted}
    assert int(summary[2]) == accepted


async def test_events_that_were_deleted_while_nobody_listened_are_a_gap(
    launcher: Launcher, site: Site
) -> None:
    api = site.start_ready_api(**UNLIMITED)
    site.start_worker(MOCK_DEX_EXECUTION_DELAY_MS="12000")
    async with Wire(*api.door.getsockname()) as wire:
        options = ("--rate", "10", "--for", "1s", "--slippage-bps", "500", "--url", wire.through_url(api.url))
        program = launcher.start_on_terminal("load", *options, **SIZES["small"])
        await until(lambda: "of 10, 0 failed" in program.output, within=40)
        wire.cut()
        await until(lambda: site.books.statuses() == {"confirmed": 10}, within=60)
        site.books.rows(
            "UPDATE order_log_horizon SET position = (SELECT head FROM order_log_ends) RETURNING 1"
        )
        wire.mend()
        assert await ended(program) == 0
    assert "10: 10 confirmed, 0 failed, 0 not ended" in program.output
    assert re.search(r"POST to confirmed +–", program.output)
    watched = launcher.start("watch", "--since", "1", "--url", api.url)
    await said(watched, "A gap: of what came after position 1, only what came after ")


def test_load_reports_what_the_limit_refused_and_names_the_setting(
    launcher: Launcher, busy_site: Site
) -> None:
    limited = busy_site.start_ready_api(API_MAX_ORDERS_PER_MIN="3")
    done = launcher.call("load", "--rate", "10", "--for", "1s", "--slippage-bps", "500", "--url", limited.url)
    assert done.returncode == 0, done.stdout
    assert re.search(r"^answers +3 × 201, 7 × 429$", done.stdout, re.MULTILINE)
    assert "API_MAX_ORDERS_PER_MIN" in done.stdout


def test_load_says_when_something_that_was_accepted_did_not_end(launcher: Launcher, site: Site) -> None:
    idle = site.start_ready_api(**UNLIMITED)  # nobody works
    done = launcher.call("load", "--rate", "5", "--for", "1s", "--wait", "100ms", "--url", idle.url)
    assert done.returncode == 1, done.stdout
    assert "5: 0 confirmed, 0 failed, 5 not ended" in done.stdout


def test_load_of_an_order_that_no_engine_takes_ends_at_once(launcher: Launcher, api: Api) -> None:
    for options, reason in (("--pair", "SOL/DOGE"), "tokenOut"), (("--amount", "0"), "amount"):
        done = launcher.call("load", "--for", "10m", *options, "--url", api.url)
        assert (done.returncode, done.stderr) == (2, "")
        assert reason in done.stdout


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--for", "soon"], "'soon' is no time"),
        (["--pair", "SOL"], "'SOL' is no pair"),
        (["--rate", "0"], "--rate"),
        (["--rate", "0.1", "--for", "500ms"], "no order is due in that time"),
    ],
)
def test_a_load_that_makes_no_sense_is_refused(launcher: Launcher, options: list[str], reason: str) -> None:
    done = launcher.call("load", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert reason in done.stderr

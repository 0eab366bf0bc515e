"""The commands that need no running engine: help, lifecycle, migrate, and the refusal to start half-configured."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from app.orders.failures import FailureCode
from app.orders.lifecycle import TRANSITIONS
from tests.e2e.ledger import Books
from tests.e2e.programs import ROOT, Launcher
from tests.support.processes import linux_only
from tests.support.servers import Servers, fresh_database

pytestmark = linux_only

COMMANDS = {"run", "api", "worker", "migrate", "watch", "place", "top", "load", "lifecycle", "failures"}
README = ROOT / "README.md"


def test_the_help_lists_every_command_and_each_shows_an_example(launcher: Launcher) -> None:
    listed = launcher.call("--help")
    assert listed.returncode == 0
    commands = re.findall(r"^  (\w+) ", listed.stdout.partition("Commands:")[2], re.MULTILINE)
    assert set(commands) >= COMMANDS
    for command in commands:
        shown = launcher.call(command, "--help")
        assert shown.returncode == 0
        assert re.search(rf"Example:(.*) order-engine {command}\b", shown.stdout)


def test_lifecycle_prints_the_table(launcher: Launcher) -> None:
    done = launcher.call("lifecycle")
    assert done.returncode == 0
    rows = [re.fullmatch(r"(\w+) +→ (\w+) +(\S.*)", line) for line in done.stdout.splitlines()]
    assert [row and row.groups() for row in rows] == [tuple(transition) for transition in TRANSITIONS]


def test_the_mermaid_diagram_has_the_edges_of_the_table(launcher: Launcher) -> None:
    done = launcher.call("lifecycle", "--mermaid")
    assert done.returncode == 0
    kind, *edges = done.stdout.splitlines()
    assert kind == "stateDiagram-v2"
    assert [edge for edge in edges if "[*]" not in edge] == [
        f"    {source} --> {target}: {when}" for source, target, when in TRANSITIONS
    ]
    assert [edge.strip() for edge in edges if "[*]" in edge] == [
        "[*] --> pending", "confirmed --> [*]", "failed --> [*]"
    ]  # fmt: skip


def test_the_diagram_in_the_readme_is_the_one_that_the_program_prints(launcher: Launcher) -> None:
    fenced = re.findall(
        r"^```mermaid\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert launcher.call("lifecycle", "--mermaid").stdout in fenced


def test_the_page_of_failures_is_the_one_that_the_program_prints(launcher: Launcher) -> None:
    page = (ROOT / "docs" / "failures.md").read_text(encoding="utf-8")
    assert launcher.call("failures", "--markdown").stdout == page
    assert {line.split()[0] for line in launcher.call("failures").stdout.splitlines()} == set(FailureCode)


def test_migrate_may_be_repeated(launcher: Launcher, server_urls: Servers) -> None:
    with fresh_database(server_urls.database_url) as database_url:
        first, second = (launcher.call("migrate", DATABASE_URL=database_url) for _ in range(2))
        assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
        assert first.stdout == second.stdout
        assert re.fullmatch(r"The database is at revision \d{4}\.\n", first.stdout)
        transitions = Books(database_url).rows(
            "SELECT source::text, target::text, description FROM order_transitions"
        )
        assert set(transitions) == {tuple(transition) for transition in TRANSITIONS}


def test_migrate_without_a_database_says_which_setting_is_missing(launcher: Launcher) -> None:
    done = launcher.call("migrate")
    assert done.returncode != 0
    assert done.stderr.startswith("Error: DATABASE_URL is not set")


def test_production_refuses_to_start_without_a_required_variable_and_names_it(
    launcher: Launcher, server_urls: Servers, data_dir: Path
) -> None:
    complete = {"DATABASE_URL": server_urls.database_url, "REDIS_URL": server_urls.redis_url}
    cases = [(command, missing) for command in ("api", "worker", "run") for missing in complete]

    def refusal(case: tuple[str, str]) -> tuple[int, str, str]:
        command, missing = case
        given = {name: value for name, value in complete.items() if name != missing}
        folder = ["--data-dir", str(data_dir)] if command == "run" else []
        done = launcher.call(command, *folder, APP_ENV="production", PORT="0", **given)
        return done.returncode, done.stdout, done.stderr

    with ThreadPoolExecutor(2) as pool:
        refusals = list(pool.map(refusal, cases))
    assert refusals == [
        (1, "", f"Error: APP_ENV is production, but {missing} is not set\n") for _, missing in cases
    ]
    assert list(data_dir.iterdir()) == []

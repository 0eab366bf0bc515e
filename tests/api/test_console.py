"""The console as it is served: to browsers alone, whole, with nothing from elsewhere, and kept by them as long as it is true."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import app
from app.api.console import POLICY
from tests.e2e.programs import ROOT

from .support import NO_ORDER, Api, check_problem

FOLDER = Path(app.__file__).parent / "console"
FILES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file())
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"}
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
LONGEST = 250  # lines of a file


@pytest.mark.parametrize(
    "accept",
    ["*/*", "application/json", "", "text/plain", "text/html;q=0.5, application/json", "nonsense", ",;q=x"],
)
async def test_programs_learn_that_somebody_is_there(api: Api, accept: str) -> None:
    answer = await api.http.get("/", headers={"Accept": accept})

    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    assert answer.headers["vary"] == "Accept"


@pytest.mark.parametrize("accept", [BROWSER["Accept"], "text/html", "application/json;q=0.9, text/html"])
async def test_browsers_get_the_console(api: Api, accept: str) -> None:
    page = (FOLDER / "index.html").read_bytes()
    for path in ("/", f"/orders/{NO_ORDER}", "/orders/whatever"):
        answer = await api.http.get(path, headers={"Accept": accept})

        assert (answer.status_code, answer.content) == (200, page)
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["vary"] == "Accept"


async def test_programs_are_told_where_the_order_is(api: Api) -> None:
    problem = check_problem(await api.http.get(f"/orders/{NO_ORDER}"), 404, "not_found")
    assert f"/api/orders/{NO_ORDER}" in problem["detail"]


@pytest.mark.parametrize("name", [name for name in FILES if name != "index.html"])
async def test_every_file_is_served_and_kept_until_it_changes(api: Api, name: str) -> None:
    answer = await api.http.get(f"/console/{name}")

    assert answer.content == (FOLDER / name).read_bytes()
    assert answer.headers["content-type"].partition(";")[0] == TYPES[Path(name).suffix]
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"
    tag = answer.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = await api.http.get(f"/console/{name}", headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert (await api.http.get(f"/console/{name}", headers={"If-None-Match": '"other"'})).status_code == 200


@pytest.mark.parametrize(
    "name", ["", "nothing.js", "index.html", "../api/console.py", "%2e%2e/settings.py", "lib"]
)
async def test_nothing_else_is(api: Api, name: str) -> None:
    answer = await api.http.get(f"/console/{name}")
    assert answer.status_code == 404


async def test_the_policy_allows_this_engine_alone_and_the_page_keeps_it(api: Api) -> None:
    answer = await api.http.get("/", headers=BROWSER)

    assert answer.headers["content-security-policy"] == POLICY
    assert POLICY.startswith("default-src 'none'; ")
    assert not {"'unsafe-inline'", "'unsafe-eval'", "*", "https:", "http:"} & set(re.split(r"[ ;]+", POLICY))
    assert not re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", answer.text)
    assert not re.findall(r"(?:https?:)?//[\w.]+", answer.text)
    for asset in re.findall(r'(?:src|href)="(/console/[^"]+)"', answer.text):
        assert (await api.http.get(asset)).status_code == 200


def test_the_package_has_every_file(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        assert {f"app/console/{name}" for name in FILES} <= set(wheel.namelist())


def test_modules_import_what_there_is() -> None:
    for name in FILES:
        text = (FOLDER / name).read_text("utf-8")
        for imported in re.findall(r"^import .* from '(.+)';$|^import '(.+)';$", text, re.MULTILINE):
            target = (FOLDER / name).parent / (imported[0] or imported[1])
            assert target.resolve().is_file(), f"{name}: {imported}"


def test_no_file_is_longer_than_one_can_keep_in_mind() -> None:
    assert len(FILES) > 20
    for name in FILES:
        assert len((FOLDER / name).read_text("utf-8").splitlines()) <= LONGEST, name

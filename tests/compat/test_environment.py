"""The names under which the existing systems know our settings, and which of two wins."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import SettingsError
from app.settings import AppEnv, load_settings, parse_settings
from tests.compat.user import User
from tests.e2e.programs import ROOT
from tests.support.processes import linux_only

DATABASE = {
    "DB_HOST": "db.example",
    "DB_PORT": "5555",
    "DB_NAME": "order_execution",
    "DB_USER": "app",
    "DB_PASSWORD": "p@ss/word",
}
REDIS = {"REDIS_HOST": "cache.example", "REDIS_PORT": "6380"}
PRODUCTION = {"NODE_ENV": "production"}


def test_the_database_and_redis_may_be_given_in_parts() -> None:
    settings = parse_settings({**DATABASE, **REDIS})
    assert settings.database_url == "postgresql://app:p%40ss%2Fword@db.example:5555/order_execution"
    assert settings.redis_url == "redis://cache.example:6380/0"
    assert settings.assumed == ()


def test_a_host_may_be_an_ipv6_address_and_redis_may_have_a_password() -> None:
    settings = parse_settings({"REDIS_HOST": "::1", "REDIS_PASSWORD": "a:b"})
    assert settings.redis_url == "redis://:a%3Ab@[::1]:6379/0"


def test_without_any_of_them_there_are_no_addresses() -> None:
    settings = parse_settings({})
    assert (settings.database_url, settings.redis_url, settings.assumed) == ("", "", ())


def test_what_is_missing_is_assumed_in_development_and_named() -> None:
    settings = parse_settings({"DB_HOST": "db.example", "REDIS_PORT": "6380"})
    assert settings.database_url == "postgresql://postgres:postgres@db.example:5432/order_execution"
    assert settings.redis_url == "redis://localhost:6380/0"
    assert settings.assumed == ("DB_NAME", "DB_USER", "DB_PASSWORD", "REDIS_HOST")


@pytest.mark.parametrize("missing", ["DB_HOST", "DB_NAME", "DB_USER", "DB_PASSWORD", "REDIS_HOST"])
def test_what_is_missing_stops_production_and_is_named(missing: str) -> None:
    variables = {**PRODUCTION, **DATABASE, **REDIS}
    assert parse_settings(variables).is_production
    del variables[missing]
    with pytest.raises(SettingsError, match=f"^APP_ENV is production, but {missing} is not set$"):
        parse_settings(variables)


def test_the_ports_need_not_be_set_in_production() -> None:
    without = {name: value for name, value in {**DATABASE, **REDIS}.items() if not name.endswith("_PORT")}
    settings = parse_settings({**PRODUCTION, **without})
    assert settings.database_url.endswith("@db.example:5432/order_execution")
    assert (settings.redis_url, settings.assumed) == ("redis://cache.example:6379/0", ())


def test_a_url_wins_over_parts_beside_it() -> None:
    urls = {"DATABASE_URL": "postgres://localhost/ours", "REDIS_URL": "redis://localhost:1"}
    settings = parse_settings({**urls, **DATABASE, **REDIS})
    assert [settings.database_url, settings.redis_url] == list(urls.values())


def test_a_source_that_comes_first_decides_in_either_form() -> None:
    url = {"DATABASE_URL": "postgres://localhost/ours"}
    assert parse_settings(url, DATABASE).database_url == url["DATABASE_URL"]
    assert "@db.example:" in parse_settings(DATABASE, url).database_url
    # A secret in the environment completes the parts of the file.
    file = {**DATABASE, "DB_PASSWORD": "from the file"}
    assert ":secret@db.example:" in parse_settings({"DB_PASSWORD": "secret"}, file).database_url


def test_the_environment_wins_over_the_file_by_whatever_name(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("APP_ENV=development\nMOCK_DEX_FAILURE_RATE=0.05\nMOCK_DEX_SEED=7\n", encoding="utf-8")
    settings = load_settings(
        {"NODE_ENV": "production", "MOCK_FAIL_RATE": "0.8", **DATABASE, **REDIS}, env_file=file
    )
    assert (settings.app_env, settings.mock_dex_failure_rate) == (AppEnv.PRODUCTION, 0.8)
    assert settings.mock_dex_seed == 7
    # An empty variable still hides the file's.
    assert load_settings({"MOCK_DEX_SEED": ""}, env_file=file).mock_dex_seed == 0


def test_our_name_wins_over_another_beside_it() -> None:
    settings = parse_settings({"APP_ENV": "development", **PRODUCTION})
    assert settings.app_env is AppEnv.DEVELOPMENT


@pytest.mark.parametrize(
    ("name", "value"),
    [("NODE_ENV", "staging"), ("MOCK_FAIL_RATE", "2"), ("REDIS_PORT", "tcp://10.0.0.1:6379")],
)
def test_a_malformed_value_is_reported_by_the_name_that_was_used(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: "):
        parse_settings({name: value})


@linux_only
def test_development_goes_on_with_defaults_and_a_warning(user: User) -> None:
    user.writes_env("NODE_ENV=development\nDB_HOST=127.0.0.1\nDB_PORT=1\n")
    tried = user.tries("npm run migrate")
    for assumed in ("DB_NAME", "DB_USER", "DB_PASSWORD"):
        assert any(
            "settings.assumed" in line and line.endswith(assumed) for line in tried.stderr.splitlines()
        )
    assert "the database cannot be migrated: connection failed" in tried.stderr


def test_the_example_file_sets_nothing_but_defaults_and_mentions_every_name() -> None:
    example = ROOT / ".env.example"
    assert load_settings({}, env_file=example) == parse_settings({})
    text = example.read_text(encoding="utf-8")
    assert [name for name in (*DATABASE, *REDIS, "NODE_ENV", "MOCK_FAIL_RATE") if name not in text] == []

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.errors import SettingsError
from app.settings import AppEnv, LogLevel, Settings, load_settings, parse_settings

PRODUCTION = {
    "APP_ENV": "production",
    "DATABASE_URL": "postgresql://u:pa55@db/x",
    "REDIS_URL": "redis://:pa55@r",
}


def test_without_any_variable_the_defaults_hold() -> None:
    assert parse_settings({}) == Settings(
        app_env=AppEnv.DEVELOPMENT, host="127.0.0.1", port=3000, database_url="", redis_url="",
        default_slippage_bps=50, api_max_orders_per_min=120, max_attempts=3,
        mock_dex_quote_delay_ms=200, mock_dex_execution_delay_ms=2500, mock_dex_slot_ms=400, mock_dex_failure_rate=0.05,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("APP_ENV", "development", AppEnv.DEVELOPMENT),
        ("HOST", "0.0.0.0", "0.0.0.0"),
        ("PORT", "65535", 65535),
        ("DATABASE_URL", "postgresql://h/d", "postgresql://h/d"),
        ("REDIS_URL", "redis://h/0", "redis://h/0"),
        ("LOG_LEVEL", "error", LogLevel.ERROR),
        ("DEFAULT_SLIPPAGE_BPS", "5000", 5000),
        ("API_MAX_ORDERS_PER_MIN", "0", 0),
        ("QUEUE_MAX_PER_MIN", "600", 600),
        ("WORKER_CONCURRENCY", "1", 1),
        ("MAX_ATTEMPTS", "5", 5),
        ("TRUSTED_PROXIES", "10.0.0.1", "10.0.0.1"),
        ("MOCK_DEX_QUOTE_DELAY_MS", "0", 0),
        ("MOCK_DEX_EXECUTION_DELAY_MS", " 7 ", 7),
        ("MOCK_DEX_SLOT_MS", "0", 0),
        ("MOCK_DEX_FAILURE_RATE", "1", 1.0),
        ("MOCK_DEX_SEED", "-3", -3),
    ],
)
def test_each_variable_sets_its_setting(name: str, text: str, value: Any) -> None:
    assert getattr(parse_settings({name: text}), name.lower()) == value


def test_there_is_a_test_above_for_every_variable() -> None:
    [mark] = test_each_variable_sets_its_setting.pytestmark

    variables = {name.upper() for name in Settings.__struct_fields__} - {"ASSUMED"}
    assert {name for name, _, _ in mark.args[1]} == variables


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("APP_ENV", "staging"),
        ("PORT", "x"),
        ("PORT", "-1"),
        ("PORT", "65536"),
        ("PORT", "9" * 30),
        ("PORT", "1_000"),
        ("LOG_LEVEL", "loud"),
        ("DEFAULT_SLIPPAGE_BPS", "0"),
        ("DEFAULT_SLIPPAGE_BPS", "5001"),
        ("API_MAX_ORDERS_PER_MIN", "-1"),
        ("QUEUE_MAX_PER_MIN", "1.5"),
        ("WORKER_CONCURRENCY", "0"),
        ("MAX_ATTEMPTS", "0"),
        ("MOCK_DEX_QUOTE_DELAY_MS", "-5"),
        ("MOCK_DEX_EXECUTION_DELAY_MS", "soon"),
        ("MOCK_DEX_SLOT_MS", "-1"),
        ("MOCK_DEX_FAILURE_RATE", "1.01"),
        ("MOCK_DEX_FAILURE_RATE", "-0.1"),
        ("MOCK_DEX_FAILURE_RATE", "nan"),
        ("MOCK_DEX_SEED", "seven"),
    ],
)
def test_a_malformed_value_is_refused_and_its_variable_named(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{name}: .+ \(it is '{text}'\)$"):
        parse_settings({name: text})


def test_a_wrong_alias_is_named_as_it_was_given() -> None:
    with pytest.raises(SettingsError, match="MOCK_FAIL_RATE"):
        parse_settings({"MOCK_FAIL_RATE": "2"})


def test_the_failure_rate_has_a_second_name_and_the_first_wins() -> None:
    assert parse_settings({"MOCK_FAIL_RATE": "0.5"}).mock_dex_failure_rate == 0.5
    both = {"MOCK_FAIL_RATE": "0.5", "MOCK_DEX_FAILURE_RATE": "0.25"}
    assert parse_settings(both).mock_dex_failure_rate == 0.25


def test_production_starts_with_everything_it_needs() -> None:
    assert parse_settings(PRODUCTION).is_production


@pytest.mark.parametrize("empty", [None, "", "  "])
@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
def test_production_refuses_to_start_without_a_variable_and_names_it(name: str, empty: str | None) -> None:
    variables = {key: value for key, value in PRODUCTION.items() if key != name}
    if empty is not None:
        variables[name] = empty

    with pytest.raises(SettingsError) as caught:
        parse_settings(variables)

    assert str(caught.value) == f"APP_ENV is production, but {name} is not set"


def test_production_names_everything_that_is_missing_at_once() -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL and REDIS_URL"):
        parse_settings({"APP_ENV": "production"})


def test_no_message_shows_a_secret() -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(PRODUCTION | {"PORT": "x"})

    assert "pa55" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_an_empty_value_is_no_value_and_unknown_variables_are_none_of_our_business() -> None:
    assert parse_settings({"PORT": "", "MOCK_DEX_SEED": " ", "PATH": "/bin", "port": "7"}) == parse_settings(
        {}
    )


def test_the_environment_goes_before_the_env_file(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("PORT=1111\nMAX_ATTEMPTS=9\n", "utf-8")

    settings = load_settings({"PORT": "2222"}, env_file=env_file)

    assert (settings.port, settings.max_attempts) == (2222, 9)


def test_a_missing_env_file_is_no_error(tmp_path: Path) -> None:
    assert load_settings({}, env_file=tmp_path / "none") == parse_settings({})


def test_settings_cannot_be_changed_once_read() -> None:
    with pytest.raises(AttributeError):
        parse_settings({}).port = 1  # type: ignore[misc]

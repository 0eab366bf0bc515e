"""Settings: the only reader of the environment. Read once, checked as a whole, frozen."""

from __future__ import annotations

import os
import re
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, NamedTuple
from urllib.parse import quote

import dotenv
import msgspec

from app.errors import SettingsError


class AppEnv(StrEnum):
    DEVELOPMENT = "development"
    PRODUCTION = "production"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Rate = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename=str.upper):
    """Each field but the last is the environment variable of the same name in capitals."""

    app_env: AppEnv = AppEnv.DEVELOPMENT
    host: str = "127.0.0.1"
    port: Port = 3000
    database_url: str = ""  # postgresql://… ; empty: `order-engine run` starts its own
    redis_url: str = ""  # redis://… ; empty: `order-engine run` starts its own
    log_level: LogLevel | None = None  # None: info; warning under `order-engine run`
    default_slippage_bps: Annotated[int, msgspec.Meta(ge=1, le=5000)] = 50
    api_max_orders_per_min: Count = 120  # per account and client address; 0: no limit
    queue_max_per_min: Count = 0  # orders that all workers together start; 0: no limit
    worker_concurrency: Positive = 1000  # orders that one worker process keeps in flight
    max_attempts: Positive = 3
    trusted_proxies: str = ""  # addresses whose X-Forwarded-For is believed, comma-separated; empty: none
    mock_dex_quote_delay_ms: Count = 200
    mock_dex_execution_delay_ms: Count = 2500
    mock_dex_slot_ms: Count = 400  # how often transactions land; 0: each when its delay is over
    mock_dex_failure_rate: Rate = 0.05
    mock_dex_seed: int = 0

    assumed: tuple[str, ...] = ()  # parts of an address that were not set, and got their stand-ins

    @property
    def is_production(self) -> bool:
        return self.app_env is AppEnv.PRODUCTION

    def __repr__(self) -> str:
        return f"Settings({self.app_env})"  # not the addresses: they hold passwords


class Address(NamedTuple):
    """An address in parts: what stands in for each while developing, those nobody needs to set, and the whole."""

    stand_ins: Mapping[str, str]
    optional: tuple[str, ...]
    compose: Callable[[Mapping[str, str]], str]


def _database_url(parts: Mapping[str, str]) -> str:
    user, password, name = (quote(parts[part], safe="") for part in ("DB_USER", "DB_PASSWORD", "DB_NAME"))
    return f"postgresql://{user}:{password}@{_place(parts, 'DB_HOST', 'DB_PORT')}/{name}"


def _redis_url(parts: Mapping[str, str]) -> str:
    password = quote(parts["REDIS_PASSWORD"], safe="")
    login = f":{password}@" if password else ""
    return f"redis://{login}{_place(parts, 'REDIS_HOST', 'REDIS_PORT')}/0"


# Other names in use for the same settings. Where one source gives both, ours counts.
ALIASES: Final = {"NODE_ENV": "APP_ENV", "MOCK_FAIL_RATE": "MOCK_DEX_FAILURE_RATE"}
# Both are required in production. Where one source gives the URL and parts of it, the URL counts.
ADDRESSES: Final = {
    "DATABASE_URL": Address(
        {
            "DB_HOST": "localhost",
            "DB_PORT": "5432",
            "DB_NAME": "order_execution",
            "DB_USER": "postgres",
            "DB_PASSWORD": "postgres",
        },
        ("DB_PORT",),
        _database_url,
    ),
    "REDIS_URL": Address(
        {"REDIS_HOST": "localhost", "REDIS_PORT": "6379", "REDIS_PASSWORD": ""},
        ("REDIS_PORT", "REDIS_PASSWORD"),
        _redis_url,
    ),
}
_NAMES: Final = {field.encode_name for field in msgspec.structs.fields(Settings)} - {"ASSUMED"}


def load_settings(environ: Mapping[str, str] | None = None, *, env_file: Path = Path(".env")) -> Settings:
    """The settings from the environment and, behind it, the `.env` file. Raises SettingsError."""
    environ = os.environ if environ is None else environ
    in_file = dotenv.dotenv_values(env_file).items()
    return parse_settings(environ, {name: value or "" for name, value in in_file if name not in environ})


def parse_settings(*sources: Mapping[str, str]) -> Settings:
    """The settings that these sources give: of each the first one that knows it, by whatever name.

    Empty variables count as absent. Raises SettingsError.
    """
    stripped = [_stripped(source) for source in sources]
    given, spelled = _by_our_names(stripped)
    missing: list[str] = []
    assumed: tuple[str, ...] = ()
    for url, address in ADDRESSES.items():
        if _is_in_parts(url, address, stripped):
            parts = ChainMap(*stripped)
            given[url] = address.compose({**address.stand_ins, **parts})
            absent = [part for part in address.stand_ins if part not in (*parts, *address.optional)]
            missing += absent
            assumed += tuple(absent)
        elif url not in given:
            missing.append(url)
    try:
        settings = msgspec.convert(given, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(_readable(str(error), given, spelled)) from None
    if settings.is_production and missing:
        verb = "is" if len(missing) == 1 else "are"
        raise SettingsError(f"APP_ENV is production, but {' and '.join(missing)} {verb} not set")
    return msgspec.structs.replace(settings, assumed=assumed)


def _stripped(source: Mapping[str, str]) -> dict[str, str]:
    return {name: value.strip() for name, value in source.items() if value.strip()}


def _by_our_names(sources: Sequence[Mapping[str, str]]) -> tuple[dict[str, str], dict[str, str]]:
    """What is set, by our names, and the name that each was given by."""
    given: dict[str, str] = {}
    spelled: dict[str, str] = {}
    for source in sources:
        for name, ours in [*((name, name) for name in _NAMES), *ALIASES.items()]:
            if name in source and ours not in given:
                given[ours], spelled[ours] = source[name], name
    return given, spelled


def _is_in_parts(url: str, address: Address, sources: Sequence[Mapping[str, str]]) -> bool:
    """Whether the first source that says anything of this address gives parts of it, not the whole."""
    deciding = next((source for source in sources if source.keys() & {url, *address.stand_ins}), None)
    return deciding is not None and url not in deciding


def _place(parts: Mapping[str, str], host: str, port: str) -> str:
    if not re.fullmatch(r"[0-9]{1,5}", parts[port]):
        raise SettingsError(f"{port}: Expected a port number (it is {parts[port]!r})")
    return f"[{parts[host]}]:{parts[port]}" if ":" in parts[host] else f"{parts[host]}:{parts[port]}"


def _readable(message: str, given: Mapping[str, str], spelled: Mapping[str, str]) -> str:
    """The message with the variable in front: "PORT: Expected `int`, got `str` (it is 'x')"."""
    found = re.fullmatch(r"(?P<what>.*) - at `\$\.?(?P<name>\w+)`", message)
    if not found:
        return message
    name = found["name"]
    shown = "" if name.endswith("_URL") else f" (it is {given.get(name)!r})"
    return f"{spelled.get(name, name)}: {found['what']}{shown}"

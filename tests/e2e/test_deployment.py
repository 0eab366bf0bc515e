"""The container files start commands that exist, with settings that exist."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import click
import pytest
import yaml

from app.cli import main
from app.settings import ADDRESSES, ALIASES, Settings, parse_settings
from tests.e2e.programs import ROOT

COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "Dockerfile"


def is_a_command(words: list[str]) -> bool:
    """Whether the program takes these words; nothing is run."""
    program, name, *arguments = words
    command = main.commands[name]
    with click.Context(main) as context:
        command.make_context(name, arguments, parent=context)
    return program == "order-engine"


def test_compose_runs_every_process_with_settings_that_production_accepts() -> None:
    services: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    ours = {name: service for name, service in services.items() if "build" in service}
    assert set(ours) == {"migrate", "api", "worker"}
    parts = {part for address in ADDRESSES.values() for part in address.stand_ins}
    known = {field.upper() for field in Settings.__struct_fields__} | set(ALIASES) | parts
    for name, service in ours.items():
        command = service["command"]
        words = shlex.split(command) if isinstance(command, str) else command
        assert is_a_command(words)
        assert words[1] == name
        environment = service["environment"]
        assert set(environment) <= known
        assert parse_settings(environment).is_production


def test_the_image_starts_a_command_of_the_program() -> None:
    default = re.findall(
        r"^(?:CMD|ENTRYPOINT) (\[.*\])$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(default) == 1
    assert is_a_command(json.loads(default[0]))


def test_a_word_too_many_is_no_command() -> None:
    with pytest.raises(click.UsageError):
        is_a_command(["order-engine", "api", "--workers", "4"])

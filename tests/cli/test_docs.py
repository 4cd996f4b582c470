"""docs/commands.md has every command and every option, and none that is not there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text
from typer.main import get_command

from dicomgate.cli import app

TEXT = (Path(__file__).parents[2] / "docs" / "commands.md").read_text("utf-8")
SECTIONS = dict(part.split("\n", 1) for part in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:])
GROUP: Any = get_command(app)
CONTEXT: Any = GROUP.make_context("dicomgate", ["check"], resilient_parsing=True)
OURS = [
    "init",
    "serve",
    "check",
    "plugins",
    "ask",
    "echo",
    "status",
    "sessions",
    "kick",
    "upstream",
    "reload",
    "drain",
    "schema",
    "doctor",
    "help",
    "demo",
]
IDENTITY = "Identity options"


def _options(name: str) -> set[str]:
    command = GROUP.get_command(CONTEXT, name)
    return {option for parameter in command.params for option in parameter.opts if option.startswith("--")}


def _documented(section: str) -> set[str]:
    rows = [line for line in SECTIONS[section].splitlines() if line.startswith("| `--")]
    return {option for row in rows for option in re.findall(r"--[a-z-]+", row.split("|")[1])}


def test_every_command_has_a_section_and_a_row() -> None:
    commands = GROUP.list_commands(CONTEXT)
    assert set(OURS) < set(commands)
    assert list(SECTIONS) == [*commands, IDENTITY]
    for name in commands:
        assert f"[`dicomgate {name}`](#{name})" in TEXT
        assert "Exit status:" in SECTIONS[name] or name == "passcode"


@pytest.mark.parametrize("name", OURS)
def test_every_option_is_documented_and_no_other(name: str) -> None:
    shared = _documented(IDENTITY) if IDENTITY.lower() in SECTIONS[name] else set()
    assert _documented(name) | shared == _options(name)


def test_the_identity_options_are_where_they_belong() -> None:
    assert len(_documented(IDENTITY)) == 7
    assert [name for name in OURS if _documented(IDENTITY) <= _options(name)] == ["ask", "echo"]


@pytest.mark.parametrize("name", OURS)
def test_no_option_takes_a_secret_or_reads_the_environment(name: str) -> None:
    assert not _options(name) & {"--passcode", "--password", "--token", "--secret"}
    assert all(parameter.envvar is None for parameter in GROUP.get_command(CONTEXT, name).params)


def test_help_shows_every_word_of_its_text() -> None:
    """Rich takes a word in brackets for markup, and shows nothing of it."""
    told = [
        text
        for name in GROUP.list_commands(CONTEXT)
        for command in [GROUP.get_command(CONTEXT, name)]
        for one in [command, *getattr(command, "commands", {}).values()]
        for text in (one.help, *(getattr(parameter, "help", None) for parameter in one.params))
        if text
    ]
    assert len(told) > 50
    assert [text for text in told if Text.from_markup(text).plain != text] == []

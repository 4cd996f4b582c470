"""Every command in the documents exists, and every command and option is in docs/commands.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from dicomgate.cli import app
from dicomgate.testing.pages import DOCS, PAGES, blocks, name, prose, section, text

COMMANDS = DOCS / "commands.md"


def commands() -> dict[str, set[str]]:
    """Each command of the command line, those of plugins too, and its options."""
    found: dict[str, set[str]] = {}

    def visit(command: Any, path: str) -> None:
        context = typer.Context(command)
        if hasattr(command, "list_commands"):
            for sub in command.list_commands(context):
                visit(command.get_command(context, sub), f"{path} {sub}".strip())
        found[path] = {option for parameter in command.params for option in parameter.opts} | {"--help"}

    visit(get_command(app), "")
    return found


def uses(page: Path) -> Iterator[str]:
    """Every call of `dicomgate` in a page, one a line."""
    for block in blocks(page, "sh", "ini", "text", ""):
        for line in block.text.splitlines():
            if match := re.match(
                r"(?:ExecStart=|ExecReload=|  )?(?:/\S*/)?(dicomgate [^#|]*?)(?: {2,}.*|[ ]*#.*)?$", line
            ):
                yield match[1].split(" && ")[0]
    for span in re.findall(r"`([^`]*)`", prose(page)):
        spread = " ".join(span.split())
        if spread.startswith("dicomgate ") and not re.search(r"[|]", spread):
            yield spread


def what_is_wrong(use: str, known: dict[str, set[str]]) -> list[str]:
    """Unknown words and options of one call."""
    path, rest = "", use.split()[1:]
    while rest and any(other.startswith(f"{path} ".lstrip()) and other != path for other in known):
        if rest[0].startswith("-") or not re.fullmatch("[a-z]+", rest[0]):
            break
        path = f"{path} {rest.pop(0)}".strip()
    if path not in known:
        return [f"{use}: {path}"]
    options = {word.split("=")[0] for word in rest if re.match("--?[a-z]", word)}
    return [f"{use}: {option}" for option in sorted(options - known[path])]


def test_every_command_in_the_documents_exists() -> None:
    known = commands()
    calls = [(name(page), use) for page in PAGES for use in uses(page)]
    assert [(page, wrong) for page, use in calls for wrong in what_is_wrong(use, known)] == []
    shown = " ".join(use for _, use in calls)
    assert all(f"dicomgate {path}" in shown for path in ("init", "serve", "check", "ask", "echo", "passcode add"))


def test_what_does_not_exist_is_seen() -> None:
    known = commands()
    assert what_is_wrong("dicomgate passcode add ct1 --generate", known) == []
    for use in ("dicomgate sreve", "dicomgate passcode lst", "dicomgate check --conect", "dicomgate --verson"):
        assert what_is_wrong(use, known)


@pytest.mark.parametrize("path", [path for path in commands() if path and " " not in path])
def test_every_command_and_its_options_are_documented(path: str) -> None:
    linked = DOCS / f"{path}.md"
    page = section(COMMANDS, path) + section(COMMANDS, "Identity options") + (text(linked) if linked.exists() else "")
    assert f"dicomgate {path}" in page
    for command, options in commands().items():
        if command.split(" ")[0] == path:
            long = {option for option in options if option.startswith("--")} - {"--help"}
            assert [option for option in long if not re.search(rf"[` ]{option}\b", page)] == [], command

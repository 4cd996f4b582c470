"""Write a manual page, roff for man(1), for each command of the command line and of the installed plugins.

`make man` writes them to dist/man, and `make bundle` into the bundle. They are made of what `--help` prints, so they
are never committed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from dicomgate import __version__
from dicomgate.cli import app

_EXIT_STATUS = "Exit status:"


def pages() -> Iterator[tuple[str, str]]:
    """Each page: its name, for example `dicomgate-throttle-clear`, and its text."""
    root = get_command(app)
    yield from _pages(root, typer.Context(root, info_name="dicomgate", help_option_names=["-h", "--help"]))


def _pages(command: Any, context: Any) -> Iterator[tuple[str, str]]:
    name = context.command_path.replace(" ", "-")
    below = []
    if hasattr(command, "list_commands"):
        for sub in command.list_commands(context):
            inner = command.get_command(context, sub)
            below += list(_pages(inner, typer.Context(inner, info_name=sub, parent=context)))
    yield name, "\n".join(_page(name, command, context, [other for other, _ in below])) + "\n"
    yield from below


def _page(name: str, command: Any, context: Any, below: list[str]) -> Iterator[str]:
    first, *paragraphs = _paragraphs(command.help or "") or [name]
    yield f'.TH {name.upper()} 1 "" "dicomgate {__version__}" "dicomgate"'
    yield from (".SH NAME", f"{_roff(name)} \\- {_roff(first.rstrip('.'))}")
    yield from (".SH SYNOPSIS", f".B {_roff(context.command_path)}")
    yield _roff(" ".join(command.collect_usage_pieces(context)))
    yield ".SH DESCRIPTION"
    for paragraph in [first, *paragraphs]:
        if not paragraph.startswith(_EXIT_STATUS):
            yield from (".PP", _roff(paragraph))
    if records := [record for it in command.get_params(context) if (record := it.get_help_record(context))]:
        yield ".SH OPTIONS"
        for option, meaning in records:
            yield from (".TP", f".B {_roff(option)}", _roff(" ".join(meaning.split())))
    for paragraph in [*paragraphs, *_paragraphs(command.epilog or "")]:
        if paragraph.startswith(_EXIT_STATUS):
            yield from (".SH EXIT STATUS", _roff(paragraph.removeprefix(_EXIT_STATUS).strip()))
    if below:
        yield from (".SH SEE ALSO", _roff(", ".join(f"{other}(1)" for other in below)))


def _paragraphs(text: str) -> list[str]:
    return [" ".join(part.split()) for part in text.replace("\b", "").split("\n\n") if part.strip()]


def _roff(text: str) -> str:
    """The text with what means something to roff escaped: backslash, hyphen, a dot or quote at its beginning."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped[:1] in (".", "'") else escaped


def main() -> None:
    """Write all pages to the folder that is named."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages():
        (folder / f"{name}.1").write_text(text, "utf-8")


if __name__ == "__main__":
    main()

"""`dicomgate rules suggest`: rules for what clients do already, made from the audit."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ..errors import ConfigError, NegativeAnswer
from ..kit.durations import parse_duration
from ..rights.suggest import suggested
from ..rights.work import work_of
from .suggestion import in_toml, left_out

_STANDARD_INPUT = Path("-")


def suggest(
    audit: Annotated[
        list[Path],
        typer.Option("--from", metavar="AUDIT", help="An audit file; - for standard input. Several: older ones first."),
    ],
    since: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Only what ended within this time, for example 7d.")
    ] = None,
) -> None:
    """Suggest rules that let the work of an audit through, and no other.

    They go to standard output, for a person to read and edit.

    Exit status: 0 done, 1 no work is in the audit, 2 wrong usage, 3 a file
    cannot be read.
    """
    work = work_of(_lines(audit), _moment(since))
    if not (rules := suggested(work.clients)):
        raise NegativeAnswer("; left out: ".join(["no work of anybody is in it", *left_out(work)]))
    typer.echo(in_toml(work, rules))


def _lines(paths: list[Path]) -> Iterator[bytes]:
    for path in paths:
        if path == _STANDARD_INPUT:
            yield from sys.stdin.buffer
        else:
            with path.open("rb") as file:
                yield from file


def _moment(since: str | None) -> datetime | None:
    try:
        return None if since is None else datetime.now(UTC) - parse_duration(since)
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"--since: {error}") from None

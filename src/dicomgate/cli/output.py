"""What commands print: rows, as a table on a terminal and with tabs for a program; decisions in words."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import typer
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from ..contract import Accept, Decision, Pass, Reject, Unavailable
from ..errors import NegativeAnswer, StartError
from ..events.log import quoted
from ..kit.text import one_line


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print the rows to standard output; with the names of the columns on a terminal."""
    shown = [[one_line(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in shown:
            typer.echo("\t".join(row))
        return
    table = Table(*(Column(name, overflow="fold") for name in columns))
    for row in shown:
        table.add_row(*(Text(cell) for cell in row))  # Text: a name is not markup
    Console().print(table)


def print_lines(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The same for rows that are wider than a terminal: a row is one line, and an id in it can be copied whole."""
    if not sys.stdout.isatty():
        print_table(columns, rows)
        return
    shown = [columns, *([one_line(cell) for cell in row] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        typer.echo("  ".join(map(set_cell_size, row, widths)).rstrip())


def in_words(decision: Decision) -> tuple[str, str]:
    """A decision as two cells of a table: yes, no, not mine or could not look; and the details or the reason."""
    if not isinstance(decision, Accept):
        return {Reject: "no", Pass: "not mine"}.get(type(decision), "could not look"), decision.reason
    details = [f"user {quoted(decision.user)}"]
    if decision.groups:
        details.append(f"groups {', '.join(quoted(group) for group in sorted(decision.groups))}")
    if decision.expires_at is not None:
        details.append(f"until {decision.expires_at.isoformat(timespec='seconds')}")
    if decision.server_response is not None:
        details.append(f"a response of {len(decision.server_response)} bytes")
    return "yes", ", ".join(details)


def conclude(decisions: Iterable[Decision], what: str) -> None:
    """Return if one of them accepts `what`. Raises StartError if one could not look, NegativeAnswer if all said no."""
    asked = list(decisions)
    if any(isinstance(decision, Accept) for decision in asked):
        return
    for decision in asked:
        if isinstance(decision, Unavailable):
            raise StartError(decision.reason)
    raise NegativeAnswer(f"no authenticator accepts this {what}")

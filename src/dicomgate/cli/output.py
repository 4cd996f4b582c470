"""Rows for whoever reads them: a table on a terminal, lines with tabs for a program."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from ..kit.text import one_line


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print the rows to standard output; the names of the columns only where a person reads them."""
    shown = [[one_line(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in shown:
            typer.echo("\t".join(row))
        return
    table = Table(*(Column(name, overflow="fold") for name in columns))
    for row in shown:
        table.add_row(*(Text(cell) for cell in row))  # Text: a name is not markup
    Console().print(table)

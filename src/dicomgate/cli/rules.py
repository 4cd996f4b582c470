"""`dicomgate rules`: what may be written in rules."""

from __future__ import annotations

import typer

from .services import services

app = typer.Typer(help="Rules: who may do what.", no_args_is_help=True, pretty_exceptions_show_locals=False)
app.command()(services)


@app.callback()
def _group() -> None:
    """Rules: who may do what."""

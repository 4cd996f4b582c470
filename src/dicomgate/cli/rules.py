"""`dicomgate rules`: what may be written in rules, and rules for what clients do already."""

from __future__ import annotations

import typer

from .services import services
from .suggest import suggest

app = typer.Typer(help="Rules: who may do what.", no_args_is_help=True, pretty_exceptions_show_locals=False)
app.command()(services)
app.command()(suggest)

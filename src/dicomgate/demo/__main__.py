"""`python -m dicomgate.demo`."""

import typer

from .command import demo

# Never a traceback with local variables: one of them is a passcode.
app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
app.command()(demo)
app(prog_name="python -m dicomgate.demo")

"""The command line: `dicomgate init | serve | check | plugins | ask | echo | throttle | demo`, and what plugins add.

Rule 1: exit status 0: done, or yes; 1: the answer is no; 2: wrong usage or configuration; 3: the machine or the
        network does not play along.
Rule 2: what is wrong stands on standard error, one line for each thing, without a traceback. Standard output has what
        was asked for.
Rule 3: a secret comes from the terminal, hidden, from standard input or from a file: never from the command line or
        the environment, which other processes can read.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from typing import Annotated

import typer

from .. import __version__
from .ask import ask
from .check import check
from .echo import echo
from .group import Group
from .init import init
from .outcome import abandon
from .plugins import plugins
from .serve import serve
from .throttle import app as throttle

_PATIENCE = 1.0  # seconds for threads that are about to end anyway

app = typer.Typer(
    name="dicomgate",
    cls=Group,
    help="The authentication gateway for DICOM: a login in front of any PACS.",
    epilog="Exit status: 0 done, 1 the answer is no, 2 wrong usage or configuration, 3 the machine or the network.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
)
for _command in (init, serve, check, plugins, ask, echo):
    app.command()(_command)
app.add_typer(throttle, name="throttle")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dicomgate {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Options before the command."""


def main() -> None:
    """The entry point of the command `dicomgate`: runs it and ends the process."""
    try:
        app()
    except SystemExit as end:
        _leave(end.code if isinstance(end.code, int) else int(end.code is not None))


def _leave(status: int) -> None:
    """End the process; a thread that still hangs is left behind.

    The interpreter would wait for it, and a directory that never answers could keep the gateway from stopping: in a
    thread of an authenticator's own, or in ours while an authenticator is made.
    """
    until = time.monotonic() + _PATIENCE
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread() and not thread.daemon]
    for thread in others:
        thread.join(max(0.0, until - time.monotonic()))
    if any(thread.is_alive() for thread in others):
        logging.getLogger("dicomgate").warning("a thread of an authenticator still hangs; the process ends without it")
        abandon(status)
    sys.exit(status)

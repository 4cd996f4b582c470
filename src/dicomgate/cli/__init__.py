"""The command line: the commands of `dicomgate`, and those that plugins add.

Rule 1: exit status 0: done, or yes; 1: the answer is no; 2: wrong usage or configuration; 3: the machine or network
        prevents it; 130: interrupted.
Rule 2: errors go to standard error, one line each, without a traceback. Results go to standard output.
Rule 3: a secret comes from the terminal, hidden, from standard input or from a file: never from the command line, which
        other users can read, or the environment, which child processes inherit and dumps contain.

Modules:

    as_user          Become the user of the service: what root may read says nothing about what that user may
    ask              `dicomgate ask`: ask the configured authenticators about one identity, and explain each answer
    at_the_socket    Ask the running gateway at its control socket, and show what is in its answers
    check            `dicomgate check`: whether the gateway would start and, with `--connect`, whether all answers
    doctor           `dicomgate doctor`: all that support needs to know, on one page and without a secret
    drain            `dicomgate drain`: have the running gateway end as SIGTERM does
    echo             `dicomgate echo`: log in, send a C-ECHO, and print what the server answers
    exit_status      How a command fails: one line on standard error, and its exit status
    group            The command group: our own commands, and those that plugins add
    help             `dicomgate help [COMMAND...]`: what `--help` prints, for those who type the word first
    init             `dicomgate init`: write a configuration that works at once, and a first user
    kick             `dicomgate kick`: end associations of the running gateway
    logs             The log on standard error: one record, one line, whatever a peer or a library sends
    masked           A configuration for strangers' eyes: as it was written, without what may be a secret
    may              What `dicomgate ask --may` adds: which rules match, and whether they allow what was asked
    options          Options that several commands have: the configuration file, and who logs in (PS3.7 D.3.3.7.1)
    output           What commands print: rows, as a table on a terminal and with tabs for a program; decisions in words
    plugin_commands  What a plugin's commands import: what is configured, and how a command speaks and ends
    plugins          `dicomgate plugins`: list what is installed and its keys; `plugins new` begins a plugin
    probing          What `dicomgate check --connect` asks: upstreams, the plugins' servers, a shared state
    reload           `dicomgate reload`: have the running gateway read its configuration again, and hear what came of it
    rules            `dicomgate rules`: what may be written in rules, and rules for what clients do already
    scaffold         `dicomgate plugins new NAME`: write a distribution with a working plugin, to change
    schema           `dicomgate schema`: a JSON schema of the configuration file, for editors
    serve            `dicomgate serve`: run the gateway until a signal ends it
    services         `dicomgate rules services`: the services that a rule may allow, and the SOP classes of one
    sessions         `dicomgate sessions`: the associations of the running gateway
    status           `dicomgate status`: what is going on in the running gateway
    stderr           Standard error, where the log goes: in `serve` by a thread of its own, from other commands directly
    streams          The standard streams: closed ones, letters that a terminal cannot show, output that nobody takes
    suggest          `dicomgate rules suggest`: rules for what clients do already, made from the audit
    suggestion       Suggested rules as TOML, for a person to read, edit and put into the configuration
    surroundings     What `dicomgate doctor` finds: programs, limits, files, certificates, state, refusals
    throttle         `dicomgate throttle list | clear`: the counters of failed logins
    upstream         `dicomgate upstream`: the addresses of a PACS that has several, and which of them get associations
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
from .doctor import doctor
from .drain import drain
from .echo import echo
from .exit_status import CANNOT, abandon
from .group import Group
from .help import help_of
from .init import init
from .kick import kick
from .plugins import plugins
from .reload import reload
from .rules import app as rules
from .schema import schema
from .serve import serve
from .sessions import sessions
from .status import status
from .streams import finish, prepare
from .throttle import app as throttle
from .upstream import upstream

_PATIENCE = 1.0  # seconds for threads that are about to end anyway

app = typer.Typer(
    name="dicomgate",
    cls=Group,
    help="The authentication gateway for DICOM: a login in front of any PACS.",
    epilog="Exit status: 0 done, 1 the answer is no, 2 wrong usage or configuration, "
    "3 the machine or network prevents it, 130 interrupted (Ctrl-C).",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
)
for _command in (init, serve, check, plugins, ask, echo):
    app.command()(_command)
for _command in (status, sessions, kick, upstream, reload, drain):
    app.command()(_command)
app.command()(schema)
app.command()(doctor)
app.command("help")(help_of)
app.add_typer(rules, name="rules")
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
    prepare()
    try:
        app(prog_name="dicomgate")
    except SystemExit as end:
        _leave(end.code if isinstance(end.code, int) else int(end.code is not None))


def _leave(status: int) -> None:
    """End the process, even if a thread still hangs.

    The interpreter would wait for that thread, so a directory that never answers could keep the gateway from stopping:
    in an authenticator's thread, or in ours while an authenticator is made.
    """
    until = time.monotonic() + _PATIENCE
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread() and not thread.daemon]
    for thread in others:
        thread.join(max(0.0, until - time.monotonic()))
    if any(thread.is_alive() for thread in others):
        logging.getLogger("dicomgate").warning("a thread of an authenticator still hangs; the process ends without it")
        abandon(status)
    sys.exit(status if finish() else status or CANNOT)

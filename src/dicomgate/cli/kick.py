"""`dicomgate kick`: end associations of the running gateway."""

from __future__ import annotations

from typing import Annotated

import typer

from ..errors import ConfigError, NegativeAnswer
from ..events.log import quoted
from ..kit.durations import parse_duration
from ..sessions.kick import LONGEST
from .at_the_socket import SocketOption, asked, of_others
from .options import DEFAULT_CONFIG, ConfigOption


def kick(
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help="As `dicomgate sessions` prints them.")] = None,
    user: Annotated[
        str | None, typer.Option("--user", "-u", metavar="NAME", help="All associations of a user.")
    ] = None,
    authenticator: Annotated[
        str, typer.Option("--authenticator", metavar="NAME", help="Whose user; default: of any authenticator.")
    ] = "",
    refused_for: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help='And refuse new ones of the user for so long: "10m".')
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="For log and audit; the peers do not see it.")] = "",
    config: ConfigOption = DEFAULT_CONFIG,
    socket: SocketOption = None,
) -> None:
    """End associations of the running gateway; both peers get an A-ABORT.

    The audit has who asked for it. The gateway is asked at its control
    socket, and asks those that share its Redis. `--for 0s` lets
    a user in again.

    Exit status: 0 done, 1 there is no such association, 2 wrong usage, or no
    control socket is configured, 3 no gateway answers.
    """
    if bool(ids) == (user is not None):
        raise ConfigError("give the ids of associations, or --user")
    if user is None and (refused_for is not None or authenticator):
        raise ConfigError("--for and --authenticator are for a user: --user")
    seconds = None if refused_for is None else _seconds(refused_for)
    if user is None:
        answer = asked(config, socket, "kick", ids=[_text(one) for one in ids or ()], reason=_text(reason))
        nothing = f"no association is called {' or '.join(map(quoted, ids or ()))}"
    else:
        whose = {"user": _text(user), "authenticator": _text(authenticator)}
        answer = asked(config, socket, "kick user", **whose, seconds=seconds, reason=_text(reason))
        nothing = f"user {quoted(user)} has no association"
    for line in of_others(answer):
        typer.echo(line, err=True)
    if answer["silent"]:
        typer.echo("they do it once they hear of it, if that is within a minute", err=True)
    if not answer["ended"] and seconds is None:
        raise NegativeAnswer(nothing)
    where = ", ".join(f"{quoted(node)} {ended}" for node, ended in answer["nodes"].items())
    told = f"{answer['ended']} ended" + (f" ({where})" if len(answer["nodes"]) > 1 else "")
    if seconds is not None:
        told += f"; new ones are {f'refused for {refused_for}' if seconds else 'let in'}"
    typer.echo(told, err=True)


def _seconds(text: str) -> float:
    try:
        seconds = parse_duration(text).total_seconds()
    except ValueError:
        raise ConfigError("--for: write a number with a unit, such as 10m, 1h or 7d") from None
    if seconds > LONGEST:
        raise ConfigError("--for: a user is shut out for a year at most")
    return seconds


def _text(argument: str) -> str:
    """What is not text is no name: it becomes one that nothing has."""
    return argument.encode(errors="replace").decode()

"""`dicomgate drain`: have the running gateway end as SIGTERM does."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from ..admin.control_client import NobodyListens
from ..errors import StartError
from .at_the_socket import SocketOption, asked
from .options import DEFAULT_CONFIG, ConfigOption

_EVERY = 0.25  # seconds


def drain(
    wait: Annotated[bool, typer.Option("--wait", help="Until the gateway has ended.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    socket: SocketOption = None,
) -> None:
    """End the running gateway: it stops listening, and associations may finish (drain_timeout).

    It is asked at its control socket.

    Exit status: 0 it is about to end, with --wait: it has ended; 2 wrong
    usage, or no control socket is configured, 3 no gateway answers.
    """
    before = asked(config, socket, "drain")["status"]
    typer.echo(f"{before['node']} drains: {before['associations']} associations may finish", err=True)
    while wait and _is_there(before["started"], config, socket):
        time.sleep(_EVERY)


def _is_there(started: str, config: ConfigOption, socket: SocketOption) -> bool:
    """The gateway that was asked is there; another one may have begun at the same socket."""
    try:
        return bool(asked(config, socket, "status")["status"]["started"] == started)
    except NobodyListens:
        return False
    except StartError:
        return True  # it ended meanwhile, or is busy: the next question will show

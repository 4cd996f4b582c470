"""`dicomgate sessions`: the associations of the running gateway."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from ..events.log import quoted
from .at_the_socket import SocketOption, ae_titles, asked, moment, of_others
from .options import DEFAULT_CONFIG, ConfigOption
from .output import print_lines

_COLUMNS = ("id", "since", "from", "listener", "user", "AE titles", "upstream", "MB", "idle", "ends")


def sessions(
    user: Annotated[str | None, typer.Option("--user", "-u", metavar="NAME", help="Only those of this user.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON, one association on a line, with all fields.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    socket: SocketOption = None,
) -> None:
    """List the sessions of the running gateway, the oldest first.

    A session is an association that is under way, logged in or not.

    It is asked at its control socket, and asks those that share
    its Redis: the list has their associations, too, and says who did not
    answer.

    Exit status: 0 done, 2 wrong usage, or no control socket is configured,
    3 no gateway answers.
    """
    found = asked(config, socket, "sessions", user=user)
    rows = sorted(found["sessions"], key=lambda one: str(one["since"]))
    several = bool(found["nodes"] or found["silent"])
    if as_json:
        for one in rows:
            typer.echo(json.dumps(one))
    elif several:
        print_lines((*_COLUMNS, "node"), [(*_row(one), quoted(one["node"])) for one in rows])
    else:
        print_lines(_COLUMNS, [_row(one) for one in rows])
    for line in of_others(found):
        typer.echo(line, err=True)
    if found["left_out"]:
        typer.echo(f"{found['left_out']} more are left out", err=True)


def _row(one: dict[str, Any]) -> Sequence[str]:
    traffic = one["traffic"]
    if one["user"] is not None:
        who = f"{quoted(one['user'])} ({one['authenticator']})"
    else:
        who = "-" if one["claimed"] is None else f"claims {quoted(one['claimed'])}"
    via = one["via"] and f" via {one['via']}"
    bytes_ = traffic and traffic["bytes_from_client"] + traffic["bytes_from_upstream"]
    return (
        one["id"],
        moment(one["since"]),
        f"{one['address']} port {one['port']}{via}",
        one["listener"],
        who,
        ae_titles(one),
        one["upstream"] or "-",
        "-" if traffic is None else f"{bytes_ / 1e6:.1f}",
        "-" if traffic is None else f"{traffic['idle']:.0f} s",
        moment(one["ends"]),
    )

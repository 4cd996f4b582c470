"""`dicomgate status`: what is going on in the running gateway."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from time import sleep
from typing import Annotated, Any

import typer
from rich.console import Console

from ..events.log import quoted
from ..kit.text import one_line
from .at_the_socket import SocketOption, ae_titles, asked, moment
from .options import DEFAULT_CONFIG, ConfigOption
from .output import print_lines
from .upstream import COLUMNS, row

_EVERY = 2.0  # seconds
_REFUSALS = 10

_Rows = list[Sequence[str]]


def status(
    watch: Annotated[bool, typer.Option("--watch", help=f"Again every {_EVERY:g} s, until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on a line, with all that is known.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    socket: SocketOption = None,
) -> None:
    """Print what is going on in the running gateway: associations, upstreams, certificates, the last refusals.

    It is asked at its control socket.

    Exit status: 0 done, 2 wrong usage, or no control socket is configured,
    3 no gateway answers.
    """
    while True:
        found = asked(config, socket, "status")["status"]
        if watch and sys.stdout.isatty() and not as_json:
            Console().clear()
        if as_json:
            typer.echo(json.dumps(found))
        else:
            _print(found)
        if not watch:
            return
        sleep(_EVERY)


def _print(found: dict[str, Any]) -> None:
    for line in _head(found):
        typer.echo(one_line(line))
    for title, columns, rows in _tables(found):
        if rows:
            typer.echo(f"\n{title}")
            print_lines(columns, rows)


def _head(found: dict[str, Any]) -> Iterator[str]:
    state = "draining" if found["draining"] else "running"
    yield f"{found['node']}: dicomgate {found['version']}, {state}, started {moment(found['started'])}"
    yield f"configuration {found['generation']}, since {moment(found['generation_since'])}"
    for problem in found["problems"]:
        yield f"the last reload failed: {problem}"
    waiting = found["unauthenticated"]
    yield f"{found['associations']} of {found['limits']['max_associations']} associations, {waiting} before their login"


def _tables(found: dict[str, Any]) -> Iterator[tuple[str, Sequence[str], _Rows]]:
    yield "Listeners", ("name", "addresses", "TLS", "associations"), [
        (one["name"], ", ".join(one["addresses"]), "TLS" if one["tls"] else "no TLS", str(one["associations"]))
        for one in found["listeners"]
    ]  # fmt: skip
    yield "Upstreams", ("name", "addresses", "associations", "last asked", "problem"), [
        (up["name"], ", ".join(up["addresses"]), str(up["associations"]), moment(up["tried"]), up["problem"] or "-")
        for up in found["upstreams"]
    ]  # fmt: skip
    yield "Addresses", ("upstream", *COLUMNS), [
        (up["name"], *row(one)) for up in found["upstreams"] for one in up["pool"]
    ]  # fmt: skip
    yield (
        "Certificates",
        ("for", "name", "ends"),
        [(one["use"], one["name"], moment(one["ends"])) for one in found["certificates"]],
    )
    yield (
        "Shut out by an operator",
        ("user", "until", "by whom, and why"),
        [(_whose(one), moment(one["until"]), one["why"]) for one in found["shut_out"]],
    )
    yield "Records", ("where", "problem"), [(one["name"], one["problem"] or "-") for one in found["sinks"]]
    yield (
        f"The last refusals (at most {_REFUSALS}; --json has more)",
        ("when", "from", "listener", "AE titles", "user", "class", "reason"),
        [_refusal(one) for one in found["refusals"][-_REFUSALS:]],
    )


def _whose(one: dict[str, Any]) -> str:
    return quoted(one["user"]) + (f" ({one['authenticator']})" if one["authenticator"] else "")


def _refusal(one: dict[str, Any]) -> Sequence[str]:
    facts = one["facts"]
    name = facts["user"] if facts["user"] is not None else facts["claimed"]
    who = "-" if name is None else quoted(name)
    where = facts["address"], facts["listener"], ae_titles(facts)
    return moment(one["time"]), *where, who, one["reason_class"], one["reason"]

"""`dicomgate upstream`: the addresses of a PACS that has several, and which of them get associations."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Any

import typer

from ..errors import ConfigError, NegativeAnswer
from ..events.log import quoted
from .at_the_socket import SocketOption, asked, moment
from .options import DEFAULT_CONFIG, ConfigOption
from .output import print_table

COLUMNS = ("address", "state", "associations", "failing since", "problem")


class _Order(Enum):
    DRAIN = "drain"
    READY = "ready"
    DOWN = "down"


def upstream(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the upstream.")],
    address: Annotated[
        str | None, typer.Argument(metavar="[ADDRESS", help="One of its addresses, as it is printed without this.")
    ] = None,
    order: Annotated[
        _Order | None,
        typer.Argument(metavar="drain|ready|down]", help="drain: no more associations; down: no checks either."),
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    socket: SocketOption = None,
) -> None:
    """Print the addresses of a PACS that has several, or take one out.

    Associations that are there stay. What is said here counts for this
    gateway, until its end. The audit has who said it. The gateway is asked
    at its control socket.

    Exit status: 0 done, 1 there is no such upstream or address, 2 wrong
    usage, or no control socket is configured, 3 no gateway answers.
    """
    if (address is None) is not (order is None):
        raise ConfigError("what of it? dicomgate upstream NAME ADDRESS drain, ready or down")
    found = asked(config, socket, "status")["status"]
    pool = next((one["pool"] for one in found["upstreams"] if one["name"] == name), None)
    if not pool:
        why = "has one address: there is no choice" if pool is not None else "is none of the configured upstreams"
        raise NegativeAnswer(f"{quoted(name)} {why}")
    if address is not None and order is not None:
        if address not in (known := [one["address"] for one in pool]):
            raise NegativeAnswer(f"{quoted(address)} is none of its addresses: {', '.join(known)}")
        pool = asked(config, socket, "order", upstream=name, address=address, order=order.value)["pool"]
    print_table(COLUMNS, [row(one) for one in pool])


def row(one: dict[str, Any]) -> Sequence[str]:
    """One address, for people."""
    problem = one["problem"] or one["remark"] or "-"
    return one["address"], one["state"], str(one["associations"]), moment(one["since"]), problem

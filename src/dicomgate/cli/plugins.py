"""`dicomgate plugins`: which authenticators are installed, and which keys their tables have."""

from __future__ import annotations

import inspect
from typing import Annotated

import typer

from ..auth import discovery
from ..contract import IdentityType
from ..errors import PluginError
from ..tables import AuthenticatorTable
from .tables import print_table


def plugins(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Print the keys of this authenticator.")] = None,
) -> None:
    """List the installed authenticators, or the keys of one.

    Exit status: 0 done, 2 there is none of that name, or it does not import.
    """
    if name is None:
        print_table(("name", "distribution", "version", "identity types", "state"), [_row(it) for it in _names()])
    else:
        _explain(name)


def _names() -> list[str]:
    return list(discovery.installed())


def _row(name: str) -> tuple[str, ...]:
    distribution = discovery.installed()[name].dist
    origin = (distribution.name, distribution.version) if distribution else ("-", "-")
    try:
        factory = discovery.find(name)
    except PluginError as error:
        why = str(error)
        return (name, *origin, "-", f"does not import: {why.partition('does not import: ')[2] or why}")
    return (name, *origin, _handles(factory), "ready")


def _handles(factory: object) -> str:
    """The identity types that its class says it handles; "-" where only its configuration says."""
    handles = getattr(factory, "handles", None)
    try:
        kinds = [kind if kind is None else IdentityType(kind).value for kind in handles or ()]
    except (TypeError, ValueError):
        return "-"
    return ", ".join(sorted("none" if kind is None else str(kind) for kind in kinds)) or "-"


def _explain(name: str) -> None:
    factory = discovery.find(name)
    typer.echo(f"[[authenticator]] use = {name!r}".replace("'", '"'))
    if documentation := inspect.getdoc(factory):
        typer.echo(f"\n{documentation}")
    typer.echo()
    rows = [
        (option.name, option.type, "required" if option.required else f"default {option.default}")
        for option in discovery.options(factory)
    ]
    print_table(("key", "type", ""), rows or [("-", "no keys of its own", "")])
    typer.echo(f"\nEvery authenticator also has: {', '.join(AuthenticatorTable.model_fields)}")

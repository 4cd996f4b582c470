"""`dicomgate plugins`: the installed authenticators and their keys; `plugins new` begins one."""

from __future__ import annotations

import inspect
from typing import Annotated

import typer

from ..auth import loading as discovery
from ..auth.table import AuthenticatorTable
from ..contract import IdentityType
from ..errors import ConfigError, PluginError
from .docstrings import field_docstrings
from .output import print_table
from .scaffold import NEW, begin


def plugins(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME|new", help="Print the keys of this authenticator.")
    ] = None,
    new: Annotated[str | None, typer.Argument(metavar="NAME", help="Behind new: write it to ./dicomgate-NAME.")] = None,
) -> None:
    """List the installed authenticators, or the keys of one; or begin a new one.

    Exit status: 0 done, 2 there is none of that name, or it does not import;
    or a new one cannot have that name, or is there already, 3 it cannot be written.
    """
    if name is None:
        print_table(("name", "distribution", "version", "identity types", "state"), [_row(it) for it in _names()])
    elif name == NEW and new is not None:
        begin(new)
    elif new is not None:
        raise ConfigError(f"one name at a time; or, for an authenticator of your own: dicomgate plugins new {new}")
    elif name == NEW:
        raise ConfigError("how is it to be called? dicomgate plugins new NAME")
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
    said = field_docstrings(factory)
    rows = [
        (key.name, key.type, "required" if key.required else f"default {key.default}", said.get(key.name, ""))
        for key in discovery.options(factory)
    ]
    print_table(("key", "type", "", "meaning"), rows or [("-", "no keys of its own", "", "")])
    typer.echo(f"\nEvery authenticator also has: {', '.join(AuthenticatorTable.model_fields)}")

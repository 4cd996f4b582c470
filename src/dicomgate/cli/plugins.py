"""`dicomgate plugins`: list what is installed and its keys; `plugins new` begins a plugin."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping
from itertools import pairwise
from textwrap import dedent
from typing import Annotated

import typer

from ..auth import loading as discovery
from ..auth.kind import AUTHENTICATORS, Kind
from ..auth.table import AuthenticatorTable, PluginTable
from ..contract import IdentityType
from ..credentials.table import CREDENTIALS, CredentialTable
from ..errors import ConfigError, PluginError
from .output import print_table
from .scaffold import NEW, begin

_KINDS: Mapping[Kind, type[PluginTable]] = {AUTHENTICATORS: AuthenticatorTable, CREDENTIALS: CredentialTable}


def plugins(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME|new", help="Print the keys of this authenticator or credential.")
    ] = None,
    new: Annotated[str | None, typer.Argument(metavar="NAME", help="After new: write it to ./dicomgate-NAME.")] = None,
    credential: Annotated[
        bool, typer.Option("--credential", help="After new: a credential, no authenticator.")
    ] = False,
) -> None:
    """List the installed authenticators and credentials, print the keys of one, or begin a new one.

    Exit status: 0 done, 2 none has that name, it does not import,
    or a new one cannot have it, 3 it cannot be written.
    """
    if name is None:
        rows = [_row(kind, it) for kind in _KINDS for it in discovery.installed(kind)]
        print_table(("name", "kind", "distribution", "version", "identity types", "state"), rows)
    elif name == NEW and new is not None:
        begin(new, CREDENTIALS if credential else AUTHENTICATORS)
    elif new is not None:
        raise ConfigError(f"give one name; to begin an authenticator of your own: dicomgate plugins new {new}")
    elif name == NEW:
        raise ConfigError("what is its name? dicomgate plugins new NAME")
    else:
        _explain(name)


def _row(kind: Kind, name: str) -> tuple[str, ...]:
    distribution = discovery.installed(kind)[name].dist
    origin = (kind.word, *((distribution.name, distribution.version) if distribution else ("-", "-")))
    try:
        factory = discovery.find(name, kind)
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
    kind = next((kind for kind in _KINDS if name in discovery.installed(kind)), AUTHENTICATORS)
    factory = discovery.find(name, kind)
    typer.echo(f"[[{kind.word}]] use = {name!r}".replace("'", '"'))
    if documentation := discovery.description(factory):
        typer.echo(f"\n{documentation}")
    typer.echo()
    said = field_docstrings(factory)
    rows = [
        (key.name, key.type, "required" if key.required else f"default {key.default}", said.get(key.name, ""))
        for key in discovery.options(factory)
    ]
    print_table(("key", "type", "", "meaning"), rows or [("-", "no keys of its own", "", "")])
    typer.echo(f"\nEvery {kind.word} also has: {', '.join(_KINDS[kind].model_fields)}")


def field_docstrings(factory: object) -> dict[str, str]:
    """The attribute docstrings (PEP 257) of a class and its bases, by name, on one line each; empty without a source.

    Python drops these texts when it compiles a class, so they are read from its source.
    """
    found: dict[str, str] = {}
    for origin in reversed(getattr(factory, "__mro__", ())):
        found |= _below_fields(origin)
    return found


def _below_fields(origin: type) -> Iterator[tuple[str, str]]:
    try:
        (tree,) = ast.parse(dedent(inspect.getsource(origin))).body
    except (OSError, TypeError, ValueError, SyntaxError):  # made by a program, or by the interpreter itself
        return
    for field, below in pairwise(getattr(tree, "body", ())):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, " ".join(text.split())

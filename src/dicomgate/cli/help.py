"""`dicomgate help [COMMAND...]`: what `--help` prints, for those who type the word first."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ..errors import ConfigError


def help_of(
    context: typer.Context,
    command: Annotated[list[str] | None, typer.Argument(metavar="COMMAND", help="For example: throttle clear.")] = None,
) -> None:
    """Print the help of a command; without one, the list of commands.

    Exit status: 0 done, 2 there is no such command.
    """
    root = context.find_root()
    typer.echo(found(root, command or []).get_help())


def found(root: Any, names: list[str]) -> Any:
    """The context of a command by its names. Raises ConfigError, which lists the commands that there are."""
    context = root
    for name in names:
        group = context.command
        known = group.list_commands(context) if hasattr(group, "list_commands") else []
        command = group.get_command(context, name) if name in known else None
        if command is None:
            there = f"; there are: {', '.join(known)}" if known else ""
            raise ConfigError(f"{context.command_path} has no command {name!r}{there}")
        context = command.make_context(name, [], parent=context, resilient_parsing=True)
    return context

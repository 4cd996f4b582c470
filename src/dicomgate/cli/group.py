"""The command group: our own commands, and those that plugins add.

Rule: a plugin's command is imported when it is called or listed, not before. One that does not import becomes a command
that says why (exit status 2), and all others work.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from ..auth.loading import how_to_install, installed
from ..errors import PluginError
from .exit_status import WRONG, errors_on_stderr

COMMANDS = "dicomgate.commands"
"""The entry point group of commands: each a `typer.Typer`, which is a group, or a function, which is one command."""

_PLAIN: dict[str, Any] = {"add_completion": False, "pretty_exceptions_enable": False}


class Group(TyperGroup):
    """The commands of `dicomgate`. Errors that are raised on purpose end here, in one line each."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Our own, then those of plugins, by name."""
        own = super().list_commands(ctx)
        return own + sorted({point.name for point in entry_points(group=COMMANDS)} - set(own))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command by its name; None if there is none."""
        command = super().get_command(ctx, cmd_name)
        if command is None:
            command = _of_plugin(cmd_name)
        if command is not None:
            command.name = cmd_name  # a `typer.Typer` need not know what it is called
        return command

    def make_context(self, *args: Any, **options: Any) -> Any:
        """Read the options before the command; `--version` and `--help` print here."""
        with errors_on_stderr():
            return super().make_context(*args, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        with errors_on_stderr():
            return super().invoke(ctx)


def plugin_command(name: str) -> Any:
    """The command that a plugin has under a name, as Click's command. Raises PluginError if there is none to run."""
    for point in entry_points(group=COMMANDS, name=name):
        try:
            return get_group(point.load())
        except Exception as error:
            raise PluginError(f"the {name} plugin does not import: {type(error).__name__}: {error}") from error
    raise PluginError(_not_installed(name))


def _of_plugin(name: str) -> Any:
    points = {point.value: point for point in entry_points(group=COMMANDS, name=name)}
    if len(points) > 1:
        return _broken(f"the command {name} is provided by more than one installed distribution")
    if not points and how_to_install(name) and name not in installed():
        return _broken(_not_installed(name))
    return next((_load(point) for point in points.values()), None)


def _not_installed(name: str) -> str:
    return f"the {name} plugin is not installed. {how_to_install(name)}"


def _load(point: EntryPoint) -> Any:
    try:
        command = point.load()
        return get_group(command) if isinstance(command, typer.Typer) else _plain(point.name, command)
    except Exception as error:  # noqa: BLE001 (whatever an import raises)
        return _broken(f"the command {point.name}{_from(point)} does not import: {_said(error)}")


def _plain(name: str, function: Callable[..., None]) -> Any:
    app = typer.Typer(**_PLAIN)
    app.command(name)(function)
    return get_command(app)


def _broken(why: str) -> Any:
    """A command that takes any arguments, and says why it cannot do anything with them."""
    app = typer.Typer(**_PLAIN)

    @app.command(
        help=why,
        add_help_option=False,
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )
    def say() -> None:
        typer.echo(why, err=True)
        raise typer.Exit(WRONG)

    return get_command(app)


def _from(point: EntryPoint) -> str:
    return f" of {point.dist.name} {point.dist.version}" if point.dist else ""


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"

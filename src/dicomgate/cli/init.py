"""`dicomgate init`: write a configuration that works at once, and a first user."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import ConfigError, StartError
from .exit_status import INTERRUPTED
from .group import plugin_command
from .schema import NAME as SCHEMA
from .schema import TEMPLATE, as_text

_EGRESS, _USERS, _USER = "egress.toml", "users.htpasswd", "alice"
_NEXT = """\
Next, in {folder}:
  your PACS           address and called_ae_titles of [[upstream]] in dicomgate.toml
  dicomgate check     check the configuration
  dicomgate serve     run it; then, from another terminal:
  dicomgate echo 127.0.0.1:11112 --user alice"""
_NEXT_OF_EGRESS = """\
Next, in {folder}:
  dicomgate.toml      what says CHANGE: the remote gateway, the account, who may use it
  hospital-ca.pem     the authority that issued the remote gateway's certificate
  egress.passcode     the passcode of the account, alone in the file; chmod 600
  dicomgate check --connect
  dicomgate serve     run it; then, from another terminal:
  echoscu 127.0.0.1 11112"""


def init(
    folder: Annotated[Path, typer.Argument(help="Where to write; made if it does not exist.")] = Path(),
    *,
    egress: Annotated[
        bool, typer.Option("--egress", help="A gateway that logs in to a remote one, for tools that cannot.")
    ] = False,
) -> None:
    """Write dicomgate.toml, its schema for editors, and users.htpasswd with one user, alice; print her passcode once.

    With --egress there is no user: the configuration names the file
    with the passcode of the account at the remote gateway.

    Exit status: 0 done, 2 one of these files exists already,
    3 the folder cannot be written.
    """
    config, users, for_editors = folder / TEMPLATE, folder / _USERS, folder / SCHEMA
    template = files(__package__).joinpath(_EGRESS if egress else TEMPLATE)
    texts = {config: template.read_text("utf-8"), for_editors: as_text()}
    for path in texts if egress else (config, users, for_editors):
        if path.exists() or path.is_symlink():
            raise ConfigError(f"{path}: exists already, and stays as it is")
    add = None if egress else plugin_command("passcode")
    written: list[Path] = []
    done = False
    try:
        _write(texts, written)
        done = add is None or _added(add, users, config)
    finally:
        if not done:
            for path in written:
                path.unlink()  # otherwise the next `init` would refuse to overwrite it
    if not done:
        raise typer.Exit(INTERRUPTED)
    typer.echo((_NEXT_OF_EGRESS if egress else _NEXT).format(folder=folder.absolute()), err=True)


def _added(add: Any, users: Path, config: Path) -> bool:
    """Add the first user, and print the passcode; False if that was interrupted."""
    typer.echo(f"{config} is written. The passcode of {_USER}, printed only once:", err=True)
    # The plugin knows how a users file is written, and prints the passcode that it makes.
    arguments = ["add", _USER, "--generate", "--file", str(users)]
    return not add.main(arguments, prog_name="dicomgate passcode", standalone_mode=False)


def _write(texts: Mapping[Path, str], written: list[Path]) -> None:
    """Write new files; each that was begun is in `written`. Raises StartError."""
    for path, text in texts.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                written.append(path)
                file.write(text)
        except OSError as error:
            raise StartError(f"{path}: cannot be written: {error.strerror}") from error

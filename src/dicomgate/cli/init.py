"""`dicomgate init`: write a configuration that works at once, and a first user."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from ..errors import ConfigError, StartError
from .exit_status import INTERRUPTED
from .group import plugin_command
from .schema import NAME as SCHEMA
from .schema import TEMPLATE, as_text

_CONFIG, _USERS, _USER = TEMPLATE, "users.htpasswd", "alice"
_NEXT = """\
Next, in {folder}:
  your PACS           address and called_ae_titles of [[upstream]] in dicomgate.toml
  dicomgate check     check the configuration
  dicomgate serve     run it; then, from another terminal:
  dicomgate echo 127.0.0.1:11112 --user alice"""


def init(
    folder: Annotated[Path, typer.Argument(help="Where to write; made if it does not exist.")] = Path(),
) -> None:
    """Write dicomgate.toml, its schema for editors, and users.htpasswd with one user, alice; print her passcode once.

    Exit status: 0 done, 2 one of these files exists already,
    3 the folder cannot be written.
    """
    config, users, for_editors = folder / _CONFIG, folder / _USERS, folder / SCHEMA
    for path in (config, users, for_editors):
        if path.exists() or path.is_symlink():
            raise ConfigError(f"{path}: exists already, and stays as it is")
    add = plugin_command("passcode")
    texts = {config: files(__package__).joinpath(_CONFIG).read_text("utf-8"), for_editors: as_text()}
    written: list[Path] = []
    added = False
    try:
        _write(texts, written)
        typer.echo(f"{config} is written. The passcode of {_USER}, printed only once:", err=True)
        # The plugin knows how a users file is written, and prints the passcode that it makes.
        arguments = ["add", _USER, "--generate", "--file", str(users)]
        added = not add.main(arguments, prog_name="dicomgate passcode", standalone_mode=False)
    finally:
        if not added:
            for path in written:
                path.unlink()  # otherwise the next `init` would refuse to overwrite it
    if not added:
        raise typer.Exit(INTERRUPTED)
    typer.echo(_NEXT.format(folder=folder.absolute()), err=True)


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

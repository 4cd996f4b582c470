"""`dicomgate init`: a configuration that works at once, and a first user."""

from __future__ import annotations

from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.main import get_group

from ..errors import ConfigError, StartError
from .group import COMMANDS

_CONFIG, _USERS, _USER = "dicomgate.toml", "users.htpasswd", "alice"
_NEXT = """\
Next, in {folder}:
  your PACS           address and called_ae_titles of [[upstream]] in dicomgate.toml
  dicomgate check     is all well?
  dicomgate serve     run it; then, from another terminal:
  dicomgate echo 127.0.0.1:11112 --user alice"""


def init(
    folder: Annotated[Path, typer.Argument(help="Where to write; made if it is not there.")] = Path(),
) -> None:
    """Write dicomgate.toml and users.htpasswd with one user, alice; her passcode is printed, once.

    Exit status: 0 done, 2 one of these files is there already,
    3 the folder cannot be written.
    """
    config, users = folder / _CONFIG, folder / _USERS
    for path in (config, users):
        if path.exists() or path.is_symlink():
            raise ConfigError(f"{path}: is there already, and stays as it is")
    add = _passcode_commands()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with config.open("x", encoding="utf-8") as file:
            file.write(files(__package__).joinpath(_CONFIG).read_text("utf-8"))
    except OSError as error:
        raise StartError(f"{config}: cannot be written: {error.strerror}") from error
    typer.echo(f"{config} is written. The passcode of {_USER}, shown this once:", err=True)
    arguments = ["add", _USER, "--generate", "--file", str(users)]
    try:
        add.main(arguments, prog_name="dicomgate passcode", standalone_mode=False)
    except Exception:
        config.unlink()  # or the next `init` would refuse to overwrite it
        raise
    typer.echo(_NEXT.format(folder=folder.absolute()), err=True)


def _passcode_commands() -> Any:
    """The commands of the passcode plugin, which knows how a users file is written. Raises ConfigError."""
    for point in entry_points(group=COMMANDS, name="passcode"):
        try:
            return get_group(point.load())
        except Exception as error:
            raise ConfigError(f"the passcode plugin does not import: {type(error).__name__}: {error}") from error
    raise ConfigError("the passcode plugin is not installed: pip install 'dicomgate[passcode]'")

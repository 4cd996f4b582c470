"""The files of the demonstration: a configuration, and a users file with one user.

Law: the passcode is generated, it stands nowhere but in memory, and the users file has its hash.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from tempfile import mkdtemp

import typer.main

from ..errors import ConfigError, PluginError, StartError

CONFIGURATION, USERS, AUDIT, LOG, SLICE = "dicomgate.toml", "users.htpasswd", "audit.jsonl", "gateway.log", "slice.dcm"
PACS, DOWN, UNKNOWN = "DEMO_PACS", "DEMO_DOWN", "DEMO_NOBODY"
"""Called AE titles: of the PACS, of an upstream that is down, and of none."""

_TOML = f"""\
# Made by `dicomgate demo`.
[gateway]
node = "demo"
audit = "{AUDIT}"
drain_timeout = "2s"

[[listener]]
name = "demo"
bind = "127.0.0.1:{{port}}"
cleartext_passcodes = true       # a test bench on one machine: never across a network

[[upstream]]
name = "pacs"
address = "127.0.0.1:{{pacs}}"
called_ae_titles = ["{PACS}"]

[[upstream]]
name = "down"                    # nobody listens there
address = "127.0.0.1:{{down}}"
called_ae_titles = ["{DOWN}"]

[[authenticator]]
use = "passcode"
name = "staff"
file = "{USERS}"
"""


@dataclass(frozen=True, slots=True)
class Login:
    """The one user that the users file has."""

    user: str
    passcode: str = field(repr=False)


@contextmanager
def work_folder(folder: Path | None, *, keep: bool) -> Iterator[Path]:
    """A folder for the files: `folder`, new or empty, which stays; or a temporary one, which stays only if kept.

    Raises ConfigError when `folder` is not empty, StartError when it cannot be made.
    """
    if folder is None:
        temporary = Path(mkdtemp(prefix="dicomgate-demo-"))
        try:
            yield temporary
        finally:
            if not keep:
                shutil.rmtree(temporary)
        return
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ConfigError(f"{folder}: is not empty")
    except OSError as error:
        raise StartError(f"{folder}: {error.strerror}") from error
    yield folder.absolute()


def write_configuration(folder: Path, *, port: int, pacs: int, down: int) -> Path:
    """Write the configuration and return its path. Port 0 lets the system choose, so that two demos never meet."""
    path = folder / CONFIGURATION
    path.write_text(_TOML.format(port=port, pacs=pacs, down=down), "utf-8")
    return path


def passcode_commands() -> EntryPoint | None:
    """The command group of the passcode plugin; None if the plugin is not installed."""
    return next(iter(entry_points(group="dicomgate.commands", name="passcode")), None)


def add_user(folder: Path, user: str) -> Login:
    """`dicomgate passcode add USER --generate`, within this process.

    Raises PluginError if the plugin is missing or broken, StartError with what the command complained of.
    """
    entry_point = passcode_commands()
    if entry_point is None:
        raise PluginError("the passcode plugin is not installed")
    try:
        command = typer.main.get_command(entry_point.load())
    except ImportError as error:
        raise PluginError(f"the passcode plugin does not import: {error}") from error
    arguments = ["add", user, "--generate", "--file", str(folder / USERS)]
    with redirect_stdout(io.StringIO()) as passcode, redirect_stderr(io.StringIO()) as complaint:
        status = command.main(arguments, prog_name="dicomgate passcode", standalone_mode=False)
    if status:
        raise StartError(complaint.getvalue().strip())
    return Login(user, passcode.getvalue().strip())

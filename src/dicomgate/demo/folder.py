"""The files of the demonstration: a configuration, a user, the keys of two issuers.

Law: the passcode is generated, it stands nowhere but in memory, and the users file has its hash.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from tempfile import mkdtemp

import typer.main

from ..errors import ConfigError, PluginError, StartError

CONFIGURATION, USERS, AUDIT, LOG, SLICE = "dicomgate.toml", "users.htpasswd", "audit.jsonl", "gateway.log", "slice.dcm"
PACS, DOWN, UNKNOWN = "DEMO_PACS", "DEMO_DOWN", "DEMO_NOBODY"
"""Called AE titles: of the PACS, of an upstream that is down, and of none."""
ISSUER, AUDIENCE, ISSUER_KEY = "https://issuer.example", "dicomgate", "issuer.pem"
"""Who issues tokens, for whom, and the file with its public key."""
PROVIDER, PROVIDER_CERTIFICATE = "https://provider.example", "provider.pem"
"""Who issues assertions, for the same, and the file with its certificate."""
KDC, KEYTAB = "kdc", "gateway.keytab"
"""The folder of the KDC, and the file with the service's key."""

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

[[authenticator]]
use = "jwt"
name = "tokens"
issuer = "{ISSUER}"
audience = "{AUDIENCE}"
public_key_file = "{ISSUER_KEY}"

[[authenticator]]
use = "saml"
name = "assertions"
issuer = "{PROVIDER}"
entity_id = "{AUDIENCE}"
certificates = ["{PROVIDER_CERTIFICATE}"]
"""
_TICKETS = f"""
[[authenticator]]
use = "kerberos"
name = "tickets"
keytab = "{KEYTAB}"
principal = "{{service}}"
"""


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


def write_configuration(folder: Path, *, port: int, pacs: int, down: int, service: str | None) -> Path:
    """Write the configuration and return its path. Port 0 lets the system choose, so that two demos never meet.

    `service` is the Kerberos principal of the gateway, None where there is no Kerberos.
    """
    path = folder / CONFIGURATION
    tickets = "" if service is None else _TICKETS.format(service=service)
    path.write_text(_TOML.format(port=port, pacs=pacs, down=down) + tickets, "utf-8")
    return path


def passcode_commands() -> EntryPoint | None:
    """The command group of the passcode plugin; None if the plugin is not installed."""
    return next(iter(entry_points(group="dicomgate.commands", name="passcode")), None)


def add_user(folder: Path, user: str) -> str:
    """`dicomgate passcode add USER --generate`, within this process; returns the passcode.

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
    return passcode.getvalue().strip()

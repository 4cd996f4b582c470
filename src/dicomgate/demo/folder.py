"""The files of the demonstration: its configuration, its user, the gateway's log and audit.

Rule: the passcode is generated and kept only in memory; the users file has its hash.
"""

from __future__ import annotations

import io
import json
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import mkdtemp

from ..cli.group import plugin_command
from ..errors import ConfigError, StartError

CONFIGURATION, USERS, AUDIT, LOG, SLICE = "dicomgate.toml", "users.htpasswd", "audit.jsonl", "gateway.log", "slice.dcm"
PACS, DOWN, UNKNOWN = "DEMO_PACS", "DEMO_DOWN", "DEMO_NOBODY"
"""Called AE titles: of the PACS, of an upstream that is down, and of none."""
USER, VIEWER, MODALITY = "demo", "viewer", "modality"
"""Who may log in by passcode: the first may do everything, the others have limited rights."""
EGRESS, ACCOUNT = "egress", "egress-1"
"""The folder of the egress, and the user that it logs in as, with limited rights."""
ISSUER, AUDIENCE, ISSUER_KEY = "https://issuer.example", "dicomgate", "issuer.pem"
"""Who issues tokens, for whom, and the file with its public key."""
PROVIDER, PROVIDER_CERTIFICATE = "https://provider.example", "provider.pem"
"""Who issues assertions, for the same, and the file with its certificate."""
KDC, KEYTAB = "kdc", "gateway.keytab"
"""The folder of the KDC, and the file with the service's key."""

DENIED = "no rule has"
"""How the audit's word begins for what somebody may not do."""
_LOGGER = logging.getLogger("dicomgate")
_PATIENCE = 5.0  # seconds; the audit has a record some milliseconds after the peer has its answer
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
name = "down"                    # nothing listens there
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

[[rule]]
name = "technicians"
authenticators = ["staff"]
users = ["{USER}", "alice"]        # alice can be added by hand, with --keep
allow = "*"

[[rule]]
name = "readers"
authenticators = ["staff"]
users = ["{VIEWER}"]
allow = ["echo", "find", "move"]
destinations = "own"             # the client's own AE title

[[rule]]
name = "modalities"
authenticators = ["staff"]
users = ["{MODALITY}"]
allow = ["echo", "store"]

[[rule]]
name = "egress"
authenticators = ["staff"]
users = ["{ACCOUNT}"]
networks = ["127.0.0.1"]         # the machine of the egress
allow = ["echo", "store"]

[[rule]]
name = "tokens-and-assertions"
authenticators = ["tokens", "assertions"]
allow = "*"
"""
_CONTROL = """
[control]                        # dicomgate status, sessions, kick
"""
_PAGE = f"""
[admin]                          # the status page; log in as {USER}
bind = "127.0.0.1:{{page}}"
authenticators = ["staff"]
operators = ["user:staff/{USER}"]
"""
_TICKETS = f"""
[[authenticator]]
use = "kerberos"
name = "tickets"
keytab = "{KEYTAB}"
principal = "{{service}}"

[[rule]]
name = "tickets"
authenticators = ["tickets"]
allow = "*"
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


def write_configuration(
    folder: Path, *, port: int, pacs: int, down: int, service: str | None, keep: bool, page: int | None
) -> Path:
    """Write the configuration and return its path. Port 0 lets the system choose, so that two demos never meet.

    `service` is the Kerberos principal of the gateway, None where there is no Kerberos. With `keep` there is a control
    socket, and at the port `page` a status page.
    """
    path = folder / CONFIGURATION
    tickets = "" if service is None else _TICKETS.format(service=service)
    operators = (_CONTROL if keep else "") + ("" if page is None else _PAGE.format(page=page))
    path.write_text(_TOML.format(port=port, pacs=pacs, down=down) + tickets + operators, "utf-8")
    return path


def add_user(folder: Path, user: str) -> str:
    """Run `dicomgate passcode add USER --generate` in this process; return the passcode.

    Raises ConfigError if the plugin is missing or broken, StartError with the command's message.
    """
    arguments = ["add", user, "--generate", "--file", str(folder / USERS)]
    command = plugin_command("passcode")
    with redirect_stdout(io.StringIO()) as passcode, redirect_stderr(io.StringIO()) as complaint:
        status = command.main(arguments, prog_name="dicomgate passcode", standalone_mode=False)
    if status:
        raise StartError(complaint.getvalue().strip())
    return passcode.getvalue().strip()


@contextmanager
def gateway_log(folder: Path) -> Iterator[None]:
    """Send what the gateway logs to a file in the folder, and nowhere else."""
    level, propagate = _LOGGER.level, _LOGGER.propagate
    handler = logging.FileHandler(folder / LOG, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    _LOGGER.addHandler(handler)
    _LOGGER.setLevel(logging.INFO)
    _LOGGER.propagate = False
    try:
        yield
    finally:
        _LOGGER.removeHandler(handler)
        _LOGGER.setLevel(level)
        _LOGGER.propagate = propagate
        handler.close()


def audited(folder: Path, count: int) -> list[str]:
    """What the audit says of the first `count` associations, in their order; "" where it says nothing."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        lines = (folder / AUDIT).read_text("ascii").splitlines(keepends=True)
        records = [json.loads(line) for line in lines if line.endswith("\n")]
        opened = [record["id"] for record in records if record["event"] == "Opened"][:count]
        closed = {record["id"] for record in records if record["event"] == "Closed"}
        if (len(opened) == count and closed.issuperset(opened)) or time.monotonic() > deadline:
            break
        time.sleep(0.01)
    told = dict.fromkeys(opened, "")
    for record in records:
        if record["id"] in told:
            match record["event"]:
                case "Decided" if record["outcome"] == "accept":
                    told[record["id"]] = f"accepted by {record['authenticator']} as {record['user']}"
                case "Refused":
                    told[record["id"]] = record["reason"]
                case "Denied":
                    told[record["id"]] += f"; {DENIED} {record['missing']}"
    return [*told.values(), *[""] * (count - len(told))]

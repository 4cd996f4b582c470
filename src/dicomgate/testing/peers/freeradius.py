"""A real FreeRADIUS server that a test can stop, start and hang.

It is configured as docs/radius.md shows: the client and post-auth sections of the page, with a file of users.
"""

from __future__ import annotations

import re
import socket
from pathlib import Path

from ..evidence import ALICE, SECRETS
from ..pages import DOCS
from .loopback import HOST
from .process import Service, require

SECRET = SECRETS[3]
"""One of the secrets that must be in no log of a run."""

PAGE = DOCS / "radius.md"

_SETTINGS = """
name = radiusd
libdir = {libraries}
logdir = {folder}
run_dir = {folder}
max_requests = 4096
log {{
  destination = stdout
}}
security {{
  status_server = yes
  reject_delay = {reject_delay}
}}
modules {{
  files {{
    usersfile = {folder}/users
  }}
  pap {{
  }}
}}
{client}
server default {{
  listen {{
    type = auth
    ipaddr = {host}
    port = {port}
  }}
  authorize {{
    files
    pap
  }}
  authenticate {{
    pap
  }}
  {post_auth}
}}
"""

_USERS = f"""
alice Cleartext-Password := "{ALICE.decode()}"
  User-Name = "alice", Filter-Id = "radiology", Filter-Id += "ct", Class = "staff"

ALICE Cleartext-Password := "{ALICE.decode()}"
  User-Name = "alice"

nameless Cleartext-Password := "{ALICE.decode()}"

longest Cleartext-Password := "{"l" * 128}"

DEFAULT Auth-Type := Reject
  Reply-Message = "who is \\"%{{User-Name}}\\"?"
"""


class FreeRadius(Service):
    """Listens on `port` of 127.0.0.1 and shares `SECRET` with its clients there.

    One that `signs` puts a Message-Authenticator into its answers.
    """

    def __init__(self, folder: Path, *, signs: bool = True, reject_delay: int = 0) -> None:
        command: list[str | Path] = [require("freeradius", "freeradius"), "-f", "-l", "stdout", "-d", folder]
        folder.mkdir()
        super().__init__(command, log=folder / "radiusd.log", ready=self._listens)
        self.port = free_udp_port()
        settings = _SETTINGS.format(
            libraries=_libraries(),
            folder=folder,
            host=HOST,
            port=self.port,
            reject_delay=reject_delay,
            client=_shown("client").replace("a long secret that nobody guesses", SECRET.decode()),
            post_auth=_shown("post-auth") if signs else "",
        )
        for name, content in (("radiusd.conf", settings), ("users", _USERS)):
            (folder / name).write_text(content)
            (folder / name).chmod(0o600)

    @property
    def address(self) -> str:
        """The host and the port, as `servers` in the configuration names them."""
        return f"{HOST}:{self.port}"

    def _listens(self) -> bool:
        bound = [line.split()[1] for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
        return any(int(local.rpartition(":")[2], 16) == self.port for local in bound)


def free_udp_port() -> int:
    """Return a port of 127.0.0.1 that no UDP socket is bound to."""
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _shown(name: str) -> str:
    """What the page shows for the server's configuration."""
    (found,) = re.findall(rf"^```text\n({name} .*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return str(found)


def _libraries() -> Path:
    return next(path for path in (Path("/usr/lib/freeradius"), Path("/usr/lib64/freeradius")) if path.exists())

"""The egress of the demonstration: a gateway that logs in to the other one, for a tool that cannot log in.

Rule: its passcode is in a file that nobody else can read, as on the machine of an egress.
"""

from __future__ import annotations

from pathlib import Path

from .folder import ACCOUNT, AUDIT, CONFIGURATION, EGRESS
from .scenarios import CLIENT

ADMITTED = f"accepted by here as {CLIENT}; accepted by staff as {ACCOUNT}"
"""What the audits of the egress and of the gateway say together of a tool that is admitted."""
_PASSCODE = "egress.passcode"
_TOML = f"""\
# Made by `dicomgate demo`; `dicomgate init --egress` writes one for your own tools.
[gateway]
node = "demo-egress"
audit = "{AUDIT}"
drain_timeout = "2s"

[[listener]]
name = "local"
bind = "127.0.0.1:{{port}}"
identity = "optional"            # the tool sends none

[[upstream]]
name = "gateway"
address = "127.0.0.1:{{gateway}}"
called_ae_titles = ["*"]
credential = "account"
positive_response = "required"   # the gateway confirms that it has verified the login

[[credential]]
use = "service"
name = "account"
username = "{ACCOUNT}"
passcode_file = "{_PASSCODE}"

[[authenticator]]
use = "network"
name = "here"

[authenticator.devices]
{CLIENT} = {{{{ networks = ["127.0.0.1"] }}}}
"""


def write_egress(folder: Path, passcode: str, gateway: int, port: int) -> Path:
    """Write the files of an egress to the gateway on its port; return the path of its configuration.

    `passcode` is that of its account there. It listens on `port` itself; 0 lets the system choose.
    """
    below = folder / EGRESS
    below.mkdir(mode=0o700)
    secret, configuration = below / _PASSCODE, below / CONFIGURATION
    secret.touch(mode=0o600)
    secret.write_text(f"{passcode}\n", "utf-8")
    configuration.write_text(_TOML.format(gateway=gateway, port=port), "utf-8")
    return configuration

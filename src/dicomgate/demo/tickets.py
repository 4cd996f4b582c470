"""The Kerberos of the demonstration, where a KDC is installed: a user who has logged in to it.

Law: KRB5_... of the environment is as it was when it is over, and no file of the system's is read or written.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

from ..auth.loading import installed
from ..errors import StartError
from ..scu.kerberos_login import SingleSignOn
from ..testing.kdc import NEEDED, SERVICE, run_kdc
from .folder import KDC, KEYTAB


def missing() -> str:
    """What is to be installed for Kerberos, in words; empty if all is there."""
    found = []
    if "kerberos" not in installed() or find_spec("gssapi") is None:
        found.append("dicomgate[kerberos], which needs gcc, python3-dev and libkrb5-dev")
    if NEEDED:
        found.append("a KDC (apt-get install krb5-kdc krb5-admin-server krb5-user)")
    return " and ".join(found)


class Tickets:
    """A context manager: a realm with one user, who may log in to the gateway; its keytab is in the folder."""

    service = SERVICE

    def __init__(self, folder: Path, user: str) -> None:
        self._folder = folder
        self._user = user
        self._last = b""
        self._stack = ExitStack()

    def __enter__(self) -> Tickets:
        """Raises StartError if the KDC does not start."""
        with ExitStack() as stack:
            home = self._folder / KDC
            home.mkdir(mode=0o700)
            try:
                kdc = stack.enter_context(run_kdc(home, users=[self._user]))
                kdc.keytab(SERVICE).rename(self._folder / KEYTAB)
                theirs = kdc.log_in(self._user)
            except (OSError, RuntimeError, subprocess.SubprocessError) as error:
                raise StartError(f"the KDC of the demonstration does not start: {error}") from error
            before = {name: value for name, value in os.environ.items() if name.startswith("KRB5")}
            stack.callback(_set, before)
            _set({name: theirs[name] for name in ("KRB5_CONFIG", "KRB5CCNAME")} | {"KRB5RCACHEDIR": str(home)})
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def ticket(self) -> bytes:
        """What the user sends to log in: a GSS-API token, made for one login."""
        self._last = SingleSignOn(SERVICE).identity.primary
        return self._last

    def last(self) -> bytes:
        """The token that was made last, once more."""
        return self._last


def _set(environment: dict[str, str]) -> None:
    """Let these be all of Kerberos' variables."""
    for name in [name for name in os.environ if name.startswith("KRB5")]:
        del os.environ[name]
    os.environ.update(environment)

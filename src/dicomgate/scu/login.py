"""What a login sends: an identity made of Kerberos tickets.

Rule: a login with Kerberos tickets is mutual (RFC 4121 4.1, PS3.15 B.6): unless the server's answer proves that it is
the service, the login has failed.
"""

from __future__ import annotations

import importlib
from typing import Any

from ..contract import Identity, IdentityType
from ..errors import ConfigError


class SingleSignOn:
    """One login to one service with the user's tickets. Raises ConfigError without python-gssapi or a ticket."""

    def __init__(self, service: str) -> None:
        self._service = service
        try:
            # Imported only here: it has no wheels, and needs a compiler and the headers of Kerberos.
            self._gssapi: Any = importlib.import_module("gssapi")
        except ImportError as error:
            raise ConfigError(
                f"--kerberos needs python-gssapi ({error}): apt-get install gcc python3-dev libkrb5-dev, "
                "then pip install gssapi"
            ) from None
        gssapi = self._gssapi
        try:
            # A principal's name: GSS-API would look a host's name up in the DNS.
            name = gssapi.Name(service, gssapi.NameType.kerberos_principal)
            flags = [gssapi.RequirementFlag.mutual_authentication]
            mechanism = gssapi.MechType.kerberos
            self._context = gssapi.SecurityContext(name=name, usage="initiate", mech=mechanism, flags=flags)
            token: bytes = self._context.step()
        except gssapi.exceptions.GSSError as error:
            raise ConfigError(f"--kerberos: {service}: {self._words(error)}") from None
        self.identity = Identity(IdentityType.KERBEROS, token, b"", positive_response_requested=True)

    def doubt(self, response: bytes | None) -> str | None:
        """Why the server response (59H) does not prove the service; None if it does."""
        doubt = f"accepted, but the server does not prove that it is {self._service}"
        if not response:
            return f"{doubt}: no AP-REP"
        try:
            self._context.step(response)
        except self._gssapi.exceptions.GSSError as error:
            return f"{doubt}: {self._words(error)}"
        return None if self._context.complete else doubt

    def _words(self, error: Any) -> str:
        return " ".join(" ".join(error.get_all_statuses(error.min_code, False)).split())

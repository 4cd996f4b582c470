"""GSS-API tokens of Kerberos, verified with python-gssapi (RFC 2743 2.2.2, RFC 4121).

Rule: a login needs a complete context whose mechanism is Kerberos. python-gssapi defers an error that comes with a
token to send: `step` then returns as if all were well. That is turned off here.
"""

from __future__ import annotations

import time
from typing import Any

from .errors import KerberosError
from .libkrb5 import Accepted

try:
    import gssapi
    from gssapi.raw.misc import GSSError
except ImportError as error:
    raise ImportError(
        f"{error}; install libgssapi-krb5-2 (Debian) or krb5-libs (Fedora), and pip install gssapi, "
        "for which gcc, python3-dev and libkrb5-dev (krb5-devel) are needed"
    ) from None


class _Acceptor(gssapi.SecurityContext):  # type: ignore[misc, unused-ignore]  # typed, or not there at all
    """A context whose `step` raises every error."""


setattr(_Acceptor, "__DEFER_STEP_ERRORS__", False)  # noqa: B010 (after the class: its metaclass sets it to True)


def credentials(keytab: str, service: str) -> Any:
    """The credentials to accept tokens for one service, with its keys only. Raises KerberosError."""
    name = gssapi.Name(service, gssapi.NameType.kerberos_principal)  # a host-based name would be looked up in the DNS
    mechanisms = [gssapi.MechType.kerberos]
    try:
        return gssapi.Credentials(usage="accept", name=name, mechs=mechanisms, store={"keytab": keytab})
    except GSSError as error:
        raise _error(error) from None


def accept(token: bytes, credentials: Any, skew: int) -> Accepted:
    """Verify a token; clocks may differ by `skew` seconds. Raises KerberosError."""
    try:
        context = _Acceptor(creds=credentials, usage="accept")
        answer = context.step(token)
        if not context.complete:
            raise KerberosError("the context is not complete with one token")
        if context.mech != gssapi.MechType.kerberos:
            raise KerberosError("the mechanism is not Kerberos")
        client = bytes(context.initiator_name).decode("utf-8", "backslashreplace")
        # MIT Kerberos adds the skew to the lifetime of a context.
        return Accepted(client, time.time() + context.lifetime - skew, answer or b"")
    except GSSError as error:
        raise _error(error) from None


class Login:
    """The client's side, with the caller's ticket cache: for `check`. Raises KerberosError."""

    def __init__(self, service: str) -> None:
        name = gssapi.Name(service, gssapi.NameType.kerberos_principal)
        mutual = [gssapi.RequirementFlag.mutual_authentication]
        mechanism = gssapi.MechType.kerberos
        try:
            self._context = gssapi.SecurityContext(name=name, usage="initiate", mech=mechanism, flags=mutual)
            self.token: bytes = self._context.step() or b""
        except GSSError as error:
            raise _error(error) from None

    def is_proved_by(self, answer: bytes | None) -> bool:
        """True if the AP-REP comes from the service."""
        try:
            self._context.step(answer)
        except GSSError:
            return False
        return bool(self._context.complete)


def _error(error: Any) -> KerberosError:
    """The library's message for the minor code in one line, or for the major code if the minor one is "Success"."""
    said = [status for status in error.get_all_statuses(error.min_code, False) if status != "Success"]
    said = said or error.get_all_statuses(error.maj_code, True)
    return KerberosError(" ".join(" ".join(said).split()), error.min_code)

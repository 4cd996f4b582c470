"""GSS-API tokens of Kerberos, made and verified with python-gssapi (RFC 2743 2.2.1, 2.2.2; RFC 4121).

Rule: a login needs a complete context whose mechanism is Kerberos. python-gssapi defers an error that comes with a
token to send: `step` then returns as if all were well. That is turned off here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
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


class _Context(gssapi.SecurityContext):  # type: ignore[misc, unused-ignore]  # typed, or not there at all
    """A context whose `step` raises every error."""


setattr(_Context, "__DEFER_STEP_ERRORS__", False)  # noqa: B010 (after the class: its metaclass sets it to True)


def credentials(keytab: str, service: str) -> Any:
    """The credentials to accept tokens for one service, with its keys only. Raises KerberosError."""
    mechanisms = [gssapi.MechType.kerberos]
    try:
        return gssapi.Credentials(usage="accept", name=_name(service), mechs=mechanisms, store={"keytab": keytab})
    except GSSError as error:
        raise _error(error) from None


def accept(token: bytes, credentials: Any, skew: int) -> Accepted:
    """Verify a token; clocks may differ by `skew` seconds. Raises KerberosError."""
    try:
        context = _Context(creds=credentials, usage="accept")
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


def initiating(store: Mapping[str, str], principal: str | None = None) -> Any:
    """The credentials to log in with, of the principal that the store is of by default. Raises KerberosError."""
    name = None if principal is None else _name(principal)
    try:
        return gssapi.Credentials(usage="initiate", name=name, mechs=[gssapi.MechType.kerberos], store=store)
    except GSSError as error:
        raise _error(error) from None


def ticket_end(service: str, credentials: Any) -> float:
    """Make sure that there is a ticket for the service, from the KDC if need be: its end. Raises KerberosError."""
    # Without mutual authentication, a context is complete with its first token, which goes nowhere.
    context, _ = _begin(service, credentials, gssapi.RequirementFlag.integrity)
    return time.time() + float(context.lifetime)


class Login:
    """The client's side, with these credentials or the caller's ticket cache. Raises KerberosError."""

    def __init__(self, service: str, credentials: Any = None) -> None:
        self._service = service
        self._context, self.token = _begin(service, credentials, gssapi.RequirementFlag.mutual_authentication)

    def verify(self, answer: bytes) -> str:
        """What is wrong with the answer to the token; "" if it proves that it comes from the service."""
        if not answer:
            return f"it is empty: {self._service} did not authenticate itself"
        try:
            self._context.step(answer)
        except GSSError as error:
            return f"it is not the AP-REP of {self._service}: {_error(error)}"
        return "" if self._context.complete else f"it is not the whole AP-REP of {self._service}"


def _begin(service: str, credentials: Any, flag: Any) -> tuple[Any, bytes]:
    """A context of the client's side, and its first token. Raises KerberosError."""
    mechanism = gssapi.MechType.kerberos
    try:
        context = _Context(name=_name(service), creds=credentials, usage="initiate", mech=mechanism, flags=[flag])
        return context, context.step() or b""
    except GSSError as error:
        raise _error(error) from None


def _name(principal: str) -> Any:
    # A host-based name would be looked up in the DNS.
    return gssapi.Name(principal, gssapi.NameType.kerberos_principal)


def _error(error: Any) -> KerberosError:
    """The library's message for the minor code in one line, or for the major code if the minor one is "Success"."""
    said = [status for status in error.get_all_statuses(error.min_code, False) if status != "Success"]
    said = said or error.get_all_statuses(error.maj_code, True)
    return KerberosError(" ".join(" ".join(said).split()), error.min_code)

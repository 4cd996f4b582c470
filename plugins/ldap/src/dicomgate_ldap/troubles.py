"""Why a directory cannot be asked, in words for the operator: what is wrong, with which key, and what to do.

Directories close a connection where they do not like how it begins. So what was probably meant is said with it.
"""

from __future__ import annotations

import errno
import os
import ssl
from pathlib import Path
from typing import Any

import ldap

from dicomgate.kit.addresses import show_address
from dicomgate.kit.authorities import verification_in_words

from .settings import PORTS, Url

NO_STARTTLS = "it does not answer StartTLS with success"
"""Then it is sent nothing."""


def why_unreachable(error: OSError, url: Url, ca: Path | None) -> str:
    """Why there is no connection, or no TLS on it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {verification_in_words(error.verify_message, ca)}"
    if isinstance(error, ssl.SSLError):
        return f"no TLS: {error.reason or error}{other_scheme(url)}"
    # asyncio puts words of its own, with the address, in place of the system's; a resolver's numbers are below 0.
    code = error.errno or 0
    if isinstance(error, ConnectionResetError):
        code = code or errno.ECONNRESET  # asyncio leaves it out while TLS begins
    said = os.strerror(code) if code > 0 else error.strerror or str(error) or type(error).__name__
    return f"{said}{other_scheme(url)}" if isinstance(error, ConnectionResetError) else said


def closed(url: Url) -> str:
    """Where the server has ended the connection, which it may do because TLS did not begin."""
    return f"it closes the connection{'' if url.tls else other_scheme(url)}"


def why_not_asked(error: ldap.LDAPError, url: Url, *, anonymous: bool) -> str:
    """What an error says that is not about a user's login. `anonymous`: the gateway asks without an account."""
    if isinstance(error, ldap.SERVER_DOWN):
        return closed(url)
    said = in_words(error)
    if isinstance(error, ldap.STRONG_AUTH_REQUIRED | ldap.CONFIDENTIALITY_REQUIRED) and not url.tls:
        return f"{said}: it wants TLS, remove cleartext"
    if isinstance(error, ldap.OPERATIONS_ERROR) and anonymous:  # Active Directory's answer to who has not bound
        return f"{said}: it may not answer without an account, set bind_dn and bind_password_file"
    return said


def in_words(error: ldap.LDAPError) -> str:
    """What the directory or libldap says."""
    said = ". ".join(str(details(error)[key]).strip(". \0") for key in ("desc", "info") if details(error).get(key))
    return said or type(error).__name__


def details(error: ldap.LDAPError) -> dict[str, Any]:
    """What python-ldap knows of it: the texts `desc` and `info`, the controls `ctrls`."""
    return error.args[0] if error.args and isinstance(error.args[0], dict) else {}


def other_scheme(url: Url) -> str:
    """What may have been meant, if a server closes the connection where TLS should begin, or speaks something else."""
    at_once = url.tls and not url.starttls
    if url.port == PORTS["ldaps" if at_once else "ldap"]:
        return ""
    usual = url.port in PORTS.values()
    host = url.host if usual and ":" not in url.host else show_address(url.host, url.port)
    begins = f"{'on' if usual else 'if on'} port {url.port} TLS begins"
    if at_once:
        return f"; {begins} with StartTLS: ldap://{host}{', or ldaps:// without the port' if usual else ''}"
    return f"; {begins} at once: ldaps://{host}"

"""Why a server cannot be reached. libldap knows, and says "Can't contact LDAP server" or "unknown error code"."""

from __future__ import annotations

import socket
import ssl

from .settings import Settings

_STARTTLS = bytes.fromhex("301d 020101 7718 8016") + b"1.3.6.1.4.1.1466.20037"
"""An LDAPMessage with the ExtendedRequest of RFC 4511 4.14.1."""

_EXTENDED_RESPONSE = 0x78


def why_unreachable(settings: Settings) -> str:
    """What is wrong on the way to the server, TLS included; empty if nothing is. Blocks."""
    host, port = settings.address
    try:
        with socket.create_connection((host, port)) as plain:
            if settings.starttls and (problem := _starttls_refused(plain)):
                return problem
            if settings.cleartext and not settings.server.startswith("ldaps:"):
                return ""
            with tls_context(settings).wrap_socket(plain, server_hostname=host):
                return ""
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is refused: {error.verify_message}"
    except ssl.SSLError as error:
        return f"no TLS: {error.reason or error}"
    except OSError as error:
        return error.strerror or str(error)


def _starttls_refused(plain: socket.socket) -> str:
    plain.sendall(_STARTTLS)
    # SEQUENCE, its length, messageID 1, and the ExtendedResponse with its length and ENUMERATED resultCode 0.
    answer = plain.recv(64)
    position = answer.find(bytes((_EXTENDED_RESPONSE,)))
    succeeded = position > 0 and answer[position:].find(bytes.fromhex("0a0100")) in range(2, 7)
    return "" if succeeded else "it does not answer StartTLS with success"


def tls_context(settings: Settings) -> ssl.SSLContext:
    """The same demands as libldap is told: the authorities of the operator or the system, the name, TLS 1.2."""
    return ssl.create_default_context(cafile=settings.ca)

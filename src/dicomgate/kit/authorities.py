"""Whom a client of ours trusts: the authorities in a file, or those of the system.

For plugins that connect to a server with TLS.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TypeAlias

from ..errors import ConfigError
from .certificates import read_certificates, read_private_key

Context: TypeAlias = ssl.SSLContext

_NOT_TRUSTED = {
    "unable to get local issuer certificate",
    "self-signed certificate",
    "self-signed certificate in certificate chain",
}
"""OpenSSL's words for a certificate whose authority is not among those that are trusted."""


def verification_in_words(message: str, ca: Path | None) -> str:
    """Why a server's certificate does not verify by `ca`, and what to do. `message`: OpenSSL's."""
    message = message.rstrip(".")
    if message in _NOT_TRUSTED and ca is None:
        return f"{message}: name the file with its authority as `ca` (without `ca`, the system's authorities count)"
    if message in _NOT_TRUSTED:
        return f"{message}: the authority that issued it is not in {ca} (`ca`), or it sends no intermediate certificate"
    # RFC 9525 2: a name in the subject is not a name that a certificate is verified by.
    if "mismatch" in message:
        return f"{message}: only its alternative names count, not its subject; connect by one that it has, or renew it"
    if message == "certificate has expired":
        return f"{message}, or that of its authority: renew it, or set this machine's clock"
    return message


def client_context(ca: Path | None, own: tuple[Path, Path] | None = None) -> Context:
    """TLS 1.2 or newer, the server's certificate verified against `ca` (PEM), None: the system's authorities.

    An issuing authority is enough: the root above it need not be in the file. `own`: the client's own certificate and
    key, in PEM. Raises ConfigError.
    """
    context = ssl.create_default_context()
    if ca is not None:
        read_certificates(ca)
        context = ssl.create_default_context(cafile=ca)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # Python 3.13 sets it. It refuses authorities for formal faults that many internal ones have.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if own is not None:
        certificate, key = own
        read_certificates(certificate)
        read_private_key(key)
        try:
            context.load_cert_chain(certificate, key, password="")
        except ssl.SSLError:
            raise ConfigError(f"{key}: is not the key of the certificate in {certificate}") from None
    return context

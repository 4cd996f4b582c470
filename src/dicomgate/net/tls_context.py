"""What TLS may be on both sides, after PS3.15 B.12 (BCP 195), with what is in files."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import ConfigError, Problem
from ..kit.certificates import name_of, read_certificates, read_private_key

LIBRARY = ssl.OPENSSL_VERSION
"""The library that computes, with its version."""
# PS3.15 B.12.1: the four suites of the BCP 195 profile; TLS 1.3 has AEAD suites only.
_TLS_1_2_SUITES = ":".join(
    f"ECDHE-{key}-{cipher}"
    for cipher in ("AES256-GCM-SHA384", "AES128-GCM-SHA256")
    for key in ("ECDSA", "RSA")
)  # fmt: skip


def server_context(
    certificate: Path, key: Path | None, client_ca: Path | None, client_certificate_required: bool
) -> ssl.SSLContext:
    """The context of a listener. With `client_ca`, a client certificate is verified, and may be required.

    Raises ConfigError, which names the key whose file cannot be used.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER)
    # No session resumption: it saves a modality little, and a ticket would outlive a revoked certificate.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    _load_certificate(context, certificate, key)
    if client_ca is not None:
        _trust(context, client_ca, "client_ca")
        context.verify_mode = ssl.CERT_REQUIRED if client_certificate_required else ssl.CERT_OPTIONAL
    return context


def client_context(
    ca: Path | None, pinned: bool, certificate: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """The context for an upstream.

    The upstream's certificate is verified against `ca` (None: the system's authorities) and the server name. If it is
    pinned, only the pin decides (see `TlsStream.check_pin`). Raises ConfigError like `server_context`.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT)
    if pinned:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca is not None:
        _trust(context, ca, "ca")
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if certificate is not None:
        _load_certificate(context, certificate, key)
    return context


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_TLS_1_2_SUITES)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    return context


def _load_certificate(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    with _named("certificate"):
        own, *issuers = read_certificates(certificate)
    with _named("certificate" if key is None else "key"):
        private_key = read_private_key(key or certificate)
        if own.public_key() != private_key.public_key():
            if any(issuer.public_key() == private_key.public_key() for issuer in issuers):
                raise ConfigError(f"{certificate}: the certificate of this key must be the first in the file")
            raise ConfigError(f"{key or certificate} is not the key of {certificate}, {name_of(own)}")
    try:
        # An empty passphrase: without one, OpenSSL would ask for it on the terminal.
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        reason = (error.reason or "no reason").lower().replace("_", " ")  # a key of 1024 bits: "ee key too small"
        raise ConfigError([Problem(("certificate",), f"{certificate}: OpenSSL does not take it: {reason}")]) from error


def _trust(context: ssl.SSLContext, path: Path, name: str) -> None:
    with _named(name):
        read_certificates(path)
    # The authority that issues the certificates may be all that the operator has, without the root above it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(path)


@contextmanager
def _named(key: str) -> Iterator[None]:
    """What is wrong is the file that this key names."""
    try:
        yield
    except ConfigError as error:
        raise error.under(key) from error


def read_certificate(path: Path) -> bytes:
    """The DER encoding of the first certificate in a PEM or DER file. Raises ConfigError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError([Problem(("certificate",), f"{path}: cannot be read: {error.strerror}")]) from error
    begin, end = data.find(ssl.PEM_HEADER.encode()), data.find(ssl.PEM_FOOTER.encode())
    try:
        if begin >= 0:
            data = ssl.PEM_cert_to_DER_cert(data[begin : end + len(ssl.PEM_FOOTER)].decode("ascii"))
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=data)
    except (OSError, ValueError) as error:
        raise ConfigError([Problem(("certificate",), f"{path}: not a certificate in PEM or DER")]) from error
    return data

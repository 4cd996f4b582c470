"""Certificates and private keys in files: what is in a file, and what to do about it.

Rule 1: what a login depends on is read by the rules of `kit.files`; a file with a private key is a secret.
Rule 2: messages name the file, what is in it and how to convert it; never its content.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from ..errors import ConfigError
from .files import read_private, read_trusted

LARGEST, LARGEST_KEY = 1_048_576, 65_536
"""Bytes of a file with certificates, and of one with a key."""
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
SOON = timedelta(days=30)
"""How long before its end a certificate is worth a warning."""

_LABEL = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")
_CERTIFICATE = b"CERTIFICATE"
_OF_LABELS = (
    (b"CERTIFICATE REQUEST", "a certificate request (CSR): name the certificate that the authority issues for it"),
    (b"PKCS7", "PKCS #7: convert it with openssl pkcs7 -print_certs -in {file} -out chain.pem"),
    (b"TRUSTED CERTIFICATE", "OpenSSL's own form: convert it with openssl x509 -in {file} -out certificate.pem"),
    (b"PUBLIC KEY", "a public key"),
)
_PFX = "PKCS #12 (PFX): convert it with openssl pkcs12 -in {file} -nodes -out gate.pem"
_DER = "in DER, not in PEM: convert it with openssl {command} -inform DER -in {file} -out {name}.pem"
_LOCKED = "has a passphrase, which nobody can type at a start: remove it with openssl pkey -in {file} -out gate.key"


def read_certificates(path: Path) -> list[x509.Certificate]:
    """All certificates in a PEM file, in their order. Raises ConfigError."""
    data, labels = _read(path, LARGEST)
    if _CERTIFICATE not in labels:
        if any(label.endswith(b"PRIVATE KEY") for label in labels):
            raise ConfigError(f"{path}: contains a private key, and no certificate")
        raise ConfigError(f"{path}: {_other(path, data, labels) or 'contains no certificate in PEM'}")
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError:
        raise ConfigError(f"{path}: a certificate in it is damaged: copy it again, from BEGIN to END") from None


def read_private_key(path: Path) -> Any:
    """The private key in a PEM file without a passphrase, as `cryptography` reads it. Raises ConfigError."""
    data, labels = _read(path, LARGEST_KEY)
    if not any(label.endswith(b"PRIVATE KEY") for label in labels):
        if _CERTIFICATE in labels:
            raise ConfigError(f"{path}: contains a certificate, and no private key")
        raise ConfigError(f"{path}: {_other(path, data, labels) or 'contains no private key in PEM'}")
    try:
        return load_pem_private_key(data, None)
    except TypeError:
        raise ConfigError(f"{path}: the key {_LOCKED.format(file=path)}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError(f"{path}: the key is damaged, or of an unknown kind") from None


def _read(path: Path, longest: int) -> tuple[bytes, list[bytes]]:
    """The content of the file, and the labels of what is in it (RFC 7468 2)."""
    labels = _LABEL.findall(read_trusted(path, longest))
    secret = any(label.endswith(b"PRIVATE KEY") for label in labels)
    return (read_private if secret else read_trusted)(path, longest), labels


def _other(path: Path, data: bytes, labels: list[bytes]) -> str:
    """What the file is instead, and what to do; "" if that cannot be told."""
    if not data.strip():
        return "the file is empty"
    for label, words in _OF_LABELS:
        if any(found.endswith(label) for found in labels):
            return f"this is {words.format(file=path)}"
    if data[:1] != b"\x30":  # what is in DER begins with a SEQUENCE
        return ""
    begin = 2 + (data[1] & 0x7F if data[1:2] > b"\x80" else 0)
    if data[begin : begin + 3] == b"\x02\x01\x03":  # RFC 7292 4: version 3
        return f"this is {_PFX.format(file=path)}"
    try:
        x509.load_der_x509_certificate(data)
        return f"this is a certificate {_DER.format(file=path, command='x509', name='certificate')}"
    except ValueError:
        pass
    try:
        x509.load_der_x509_csr(data)
        return f"this is {_OF_LABELS[0][1]}"
    except ValueError:
        pass
    try:
        load_der_private_key(data, None)
    except TypeError:
        pass
    except (ValueError, UnsupportedAlgorithm):
        return ""
    return f"this is a private key {_DER.format(file=path, command='pkey', name='gate')}"


def name_of(certificate: x509.Certificate) -> str:
    """Its subject, or one of its alternative names if it has none, for a message."""
    if subject := certificate.subject.rfc4514_string({NameOID.EMAIL_ADDRESS: "emailAddress"}):
        return subject
    return next(iter(alternative_names(certificate)), "without a name")


def alternative_names(certificate: x509.Certificate) -> list[str]:
    """The host names and addresses that it is for."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]


def described(certificate: x509.Certificate) -> str:
    """Its name, what it is for and when it ends, on one line."""
    names = [name for name in alternative_names(certificate) if name not in name_of(certificate)]
    told = f" ({', '.join(names)})" if names else ""
    return f"{name_of(certificate)}{told}, until {_day(certificate.not_valid_after_utc)}"


def remarks(chain: Sequence[x509.Certificate], purpose: x509.ObjectIdentifier | None) -> Iterator[str]:
    """What peers will not like in a chain that is sent to them for this purpose: SERVER or CLIENT.

    With None, the certificates are authorities that are trusted: each is judged by itself.
    """
    for certificate in chain:
        yield from _of_dates(certificate)
        if purpose is None and not _is_authority(certificate):
            yield f"{name_of(certificate)} is not a certificate authority: it vouches for no other certificate"
    if purpose is None:
        return
    own, top = chain[0], chain[-1]
    if not _allows(own, purpose):
        needed = "serverAuth" if purpose == SERVER else "clientAuth"
        yield f"{name_of(own)} is not issued for this: its extended key usage lacks {needed}"
    for number, (one, issuer) in enumerate(pairwise(chain), 2):
        if one.issuer != issuer.subject:
            yield (
                f"certificate {number} in the file, {name_of(issuer)}, did not issue the one before it: write the own "
                "certificate first, then that of its issuer, and so on"
            )
    if top.issuer != top.subject and _names_its_issuer(top):
        yield (
            f"the certificate of {name_of(top)}'s issuer, {top.issuer.rfc4514_string()}, is not in the file: append "
            "it, unless peers trust that issuer itself"
        )


def _of_dates(certificate: x509.Certificate) -> Iterator[str]:
    begins, ends, now = certificate.not_valid_before_utc, certificate.not_valid_after_utc, datetime.now(UTC)
    if begins > now:
        yield f"{name_of(certificate)} is not valid before {_day(begins)}; is the clock right?"
    if ends < now:
        yield f"{name_of(certificate)} has expired on {_day(ends)}: renew it"
    elif ends < now + SOON:
        yield f"{name_of(certificate)} expires on {_day(ends)}: renew it"


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


def _extension(certificate: x509.Certificate, kind: type[Any]) -> Any:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, ValueError):
        return None


def _is_authority(certificate: x509.Certificate) -> bool:
    constraints = _extension(certificate, x509.BasicConstraints)
    return constraints.ca if constraints is not None else certificate.version is x509.Version.v1


def _allows(certificate: x509.Certificate, purpose: x509.ObjectIdentifier) -> bool:
    usage = _extension(certificate, x509.ExtendedKeyUsage)
    return usage is None or purpose in usage or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usage


def _names_its_issuer(certificate: x509.Certificate) -> bool:
    """It says where the certificate of its issuer is: as those do whose issuer is no root that everybody has."""
    access = _extension(certificate, x509.AuthorityInformationAccess)
    return access is not None and any(one.access_method == AuthorityInformationAccessOID.CA_ISSUERS for one in access)

"""Trusted certificates, from PEM files or from the identity provider's metadata (saml-metadata-2.0-os).

Rule 1: of metadata, only the configured issuer's EntityDescriptor is read, and of that the signing keys of its
        IDPSSODescriptor: `use="signing"`, or no use at all (2.4.1.1). After `validUntil` it does not count.
Rule 2: a certificate is only the container of a key: its dates and its issuer are ignored, because the operator trusts
        the file. Weak keys are refused.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding

from .claims import read_time
from .document import DSIG, METADATA, SAMLP, Element, RefusedError, read_document
from .signature import read_signed

LARGEST_METADATA = 524_288
_CURVES = frozenset(("secp256r1", "secp384r1", "secp521r1"))
_PROTOCOL = SAMLP[1:-1]


@dataclass(frozen=True, slots=True)
class Trusted:
    """The certificates (PEM) of the issuer's signing keys; `until` (Unix time) is when the metadata expires."""

    certificates: tuple[str, ...]
    until: float | None = None


def read_certificates(data: bytes) -> tuple[str, ...]:
    """The certificates of a PEM file. Raises RefusedError if there is none, or if a key is too weak."""
    try:
        found = x509.load_pem_x509_certificates(data)
    except ValueError:
        raise RefusedError("no certificates in PEM") from None
    return tuple(_checked(one) for one in found)


def read_metadata(data: bytes, issuer: str, signers: Sequence[str]) -> Trusted:
    """The certificates in metadata that one of the `signers` (PEM), if any, must have signed. Raises RefusedError."""
    root = read_document(_without_comments(data), LARGEST_METADATA)
    if root.tag != f"{METADATA}EntityDescriptor":
        raise RefusedError("no EntityDescriptor: the metadata must be of one identity provider")
    if signers:
        signatures = root.findall(f"{DSIG}Signature")
        if len(signatures) != 1 or root.index(signatures[0]) != 0:
            raise RefusedError("metadata that is not signed, or has its signature in the wrong place")
        root = read_signed(signatures[0], signers, 2 * LARGEST_METADATA)
    if root.get("entityID") != issuer:
        raise RefusedError("metadata of another issuer")
    found = []
    for provider in root.findall(f"{METADATA}IDPSSODescriptor"):
        if _PROTOCOL in provider.get("protocolSupportEnumeration", "").split():
            found += [
                key for key in provider.findall(f"{METADATA}KeyDescriptor") if key.get("use", "signing") == "signing"
            ]
    # xmldsig-core 4.4.4: further certificates may be those of the authorities, which do not sign here.
    path = f"{DSIG}KeyInfo/{DSIG}X509Data/{DSIG}X509Certificate[1]"
    certificates = dict.fromkeys(_certificate(one) for key in found for one in key.iterfind(path))
    if not certificates:
        raise RefusedError("metadata without a signing certificate")
    return Trusted(tuple(certificates), _until(root))


def _without_comments(data: bytes) -> bytes:
    """Metadata may have comments, and Shibboleth's has; the signed form is without them (xml-exc-c14n 1)."""
    first, *more = data.split(b"<!--")
    parts = [one.partition(b"-->") for one in more]
    return first + b"".join(rest for _, _, rest in parts) if all(end for _, end, _ in parts) else data


def _until(root: Element) -> float | None:
    ends = [element.get("validUntil") for element in (root, *root.findall(f"{METADATA}IDPSSODescriptor"))]
    moments = [read_time(end) for end in ends if end is not None]
    if None in moments:
        raise RefusedError("a validUntil that is not a time in UTC")
    return min((moment for moment in moments if moment is not None), default=None)


def _certificate(element: Element) -> str:
    base64 = "\n".join(textwrap.wrap("".join((element.text or "").split()), 64))
    (one,) = read_certificates(f"-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n".encode())
    return one


def _checked(certificate: x509.Certificate) -> str:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise RefusedError("a certificate whose key is of an unknown kind") from None
    match key:
        case RSAPublicKey() if 2048 <= key.key_size <= 8192:
            pass
        case EllipticCurvePublicKey() if key.curve.name in _CURVES:
            pass
        case _:
            raise RefusedError("a certificate whose key is too weak, too large or of an unknown kind")
    return certificate.public_bytes(Encoding.PEM).decode("ascii")

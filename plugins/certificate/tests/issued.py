"""Certificates with any names at all, in DER. Nothing here verifies them: that is TLS's business."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

KEY = Ed25519PrivateKey.generate()
END = datetime(2099, 12, 31, tzinfo=UTC)
CN, O, OU = NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME  # noqa: E741

Attributes = Sequence[tuple[x509.ObjectIdentifier, str]]


def subject(*rdns: Attributes) -> x509.Name:
    """A subject, in the certificate's order: the most general first."""
    return x509.Name(
        [x509.RelativeDistinguishedName([x509.NameAttribute(oid, value) for oid, value in rdn]) for rdn in rdns]
    )


HOLDER = subject([(O, "Hospital")], [(CN, "ct-1")])


def issue(
    holder: x509.Name = HOLDER, names: Sequence[x509.GeneralName] = (), *extensions: x509.UnrecognizedExtension
) -> bytes:
    """A certificate of this holder, with these alternative names."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(holder)
        .issuer_name(subject([(CN, "authority")]))
        .public_key(KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(END)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(KEY, None).public_bytes(Encoding.DER)

"""What is in a file that should hold a certificate or a key, and what peers will not like in a chain."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.hazmat.primitives.serialization.pkcs7 import serialize_certificates
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from dicomgate import ConfigError
from dicomgate.kit.authorities import client_context
from dicomgate.kit.certificates import (
    CLIENT,
    SERVER,
    described,
    name_of,
    read_certificates,
    read_private_key,
    remarks,
)

KEY, OTHER = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
NOW = datetime.now(UTC)


def name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])


def issue(
    subject: str, issuer: str = "Root", *extensions: x509.ExtensionType, begins: float = -1, days: float = 365,
    key: EllipticCurvePrivateKey = KEY,
) -> x509.Certificate:  # fmt: skip
    builder = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer))
    builder = builder.public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(NOW + timedelta(days=begins)).not_valid_after(NOW + timedelta(days=days))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(KEY, SHA256())


def usage(*purposes: x509.ObjectIdentifier) -> x509.ExtendedKeyUsage:
    return x509.ExtendedKeyUsage(purposes)


AUTHORITY = x509.BasicConstraints(ca=True, path_length=None)
NAMES = x509.SubjectAlternativeName([x509.DNSName("gate.example")])
ELSEWHERE = x509.AuthorityInformationAccess(
    [
        x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier("http://ca.example/sub.crt")
        )
    ]
)
ROOT, SUB = issue("Root", "Root", AUTHORITY), issue("Sub", "Root", AUTHORITY)
GATE = issue("gate", "Sub", NAMES)
CSR = x509.CertificateSigningRequestBuilder().subject_name(name("gate")).sign(KEY, SHA256())
KEY_PEM, KEY_DER = (
    KEY.private_bytes(form, PrivateFormat.PKCS8, NoEncryption()) for form in (Encoding.PEM, Encoding.DER)
)
LOCKED = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
PEM, DER = GATE.public_bytes(Encoding.PEM), GATE.public_bytes(Encoding.DER)
PFX = serialize_key_and_certificates(b"gate", KEY, GATE, None, BestAvailableEncryption(b"x"))
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("content", "no_certificate", "no_key"),
    [
        (PEM, None, "contains a certificate, and no private key"),
        (KEY_PEM, "contains a private key, and no certificate", None),
        (PEM + KEY_PEM, None, None),
        (PEM + LOCKED, None, "the key has a passphrase, .*: remove it with openssl pkey -in FILE -out gate.key"),
        (DER, *["this is a certificate in DER, .*: convert it with openssl x509 -inform DER -in FILE -out"] * 2),
        (KEY_DER, *["this is a private key in DER, .*: convert it with openssl pkey -inform DER -in FILE -out"] * 2),
        (PFX, *[r"this is PKCS #12 \(PFX\): convert it with openssl pkcs12 -in FILE -nodes -out gate.pem"] * 2),
        (CSR.public_bytes(Encoding.PEM), *[r"this is a certificate request \(CSR\): name the certificate"] * 2),
        (CSR.public_bytes(Encoding.DER), *[r"this is a certificate request \(CSR\): name the certificate"] * 2),
        (serialize_certificates([GATE], Encoding.PEM), *["this is PKCS #7: convert it with openssl pkcs7"] * 2),
        (PUBLIC, *["this is a public key"] * 2),
        (b" \n", *["the file is empty"] * 2),
        (b"gate", "contains no certificate in PEM", "contains no private key in PEM"),
        (b"\x30\x03\x02\x01\x05", "contains no certificate in PEM", "contains no private key in PEM"),
        (PEM.replace(b"M", b"N"), "a certificate in it is damaged", "contains a certificate, and no private key"),
        (KEY_PEM.replace(b"M", b"N"), "contains a private key, and no certificate", "the key is damaged"),
    ],
    ids=lambda value: (value if isinstance(value, str) else "")[:30],
)
def test_what_is_in_a_file(tmp_path: Path, content: bytes, no_certificate: str | None, no_key: str | None) -> None:
    path = tmp_path / "gate.pem"
    path.touch(mode=0o600)
    path.write_bytes(content)
    tried: tuple[tuple[Callable[[Path], object], str | None], ...] = (
        (read_certificates, no_certificate),
        (read_private_key, no_key),
    )
    for read, said in tried:
        if said is None:
            assert read(path)
        else:
            with pytest.raises(ConfigError, match=f"{path}: {said.replace('FILE', str(path))}"):
                read(path)


def test_a_file_with_a_key_is_a_secret_and_one_without_is_not(tmp_path: Path) -> None:
    path = tmp_path / "gate.pem"
    path.write_bytes(PEM)
    assert read_certificates(path) == [GATE], "with mode 0644"
    path.write_bytes(PEM + KEY_PEM)
    for read in (read_certificates, read_private_key):
        with pytest.raises(ConfigError, match="everybody may read or write this file; chmod o-rw"):
            read(path)
    path.chmod(0o640)
    assert read_certificates(path) == [GATE]
    assert read_private_key(path)


@pytest.mark.parametrize(
    ("chain", "purpose", "said"),
    [
        ([GATE, SUB], SERVER, None),
        ([issue("gate", "Root")], SERVER, None),  # clients of a hospital have its root
        ([issue("gate", "Sub", usage(SERVER)), SUB, ROOT], SERVER, None),
        ([issue("gate", "Sub", usage(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE))], CLIENT, None),
        ([issue("gate", days=-0.5)], SERVER, "CN=gate has expired on "),
        ([issue("gate", days=29)], SERVER, "CN=gate expires on "),
        ([issue("gate", begins=1)], SERVER, "CN=gate is not valid before "),
        ([GATE, issue("Sub", "Root", AUTHORITY, days=3)], SERVER, "CN=Sub expires on "),
        ([issue("gate", "Sub", usage(CLIENT))], SERVER, "CN=gate is not issued for this: .* lacks serverAuth"),
        ([issue("gate", "Sub", usage(SERVER))], CLIENT, "CN=gate is not issued for this: .* lacks clientAuth"),
        ([GATE, ROOT], SERVER, "certificate 2 in the file, CN=Root, did not issue the one before it"),
        ([issue("gate", "Sub", ELSEWHERE)], SERVER, "the certificate of CN=gate's issuer, CN=Sub, is not in the file"),
        ([SUB, ROOT], None, None),
        ([GATE], None, "CN=gate is not a certificate authority: it vouches for no other certificate"),
        ([issue("Root", "Root", AUTHORITY, days=-0.5)], None, "CN=Root has expired on "),
    ],
)
def test_what_peers_will_not_like(
    chain: list[x509.Certificate], purpose: x509.ObjectIdentifier | None, said: str | None
) -> None:
    found = list(remarks(chain, purpose))
    assert len(found) == (said is not None), found
    if said is not None:
        assert re.match(said, found[0]), found


def test_a_certificate_on_one_line() -> None:
    assert described(GATE) == f"CN=gate (gate.example), until {GATE.not_valid_after_utc:%Y-%m-%d}"
    assert name_of(issue("", "Sub", NAMES)) == "gate.example"
    assert name_of(issue("", "Sub")) == "without a name"


def test_a_client_of_ours_trusts_the_system_or_a_file(tmp_path: Path) -> None:
    assert client_context(None).check_hostname
    ca = tmp_path / "ca.pem"
    ca.write_bytes(SUB.public_bytes(Encoding.PEM))
    assert client_context(ca).verify_mode.name == "CERT_REQUIRED"
    ca.chmod(0o666)
    with pytest.raises(ConfigError, match="everybody may write this file"):
        client_context(ca)

"""One spelling for each name: of what an operator writes, and of what stands in a certificate."""

from __future__ import annotations

from hashlib import sha256

import pytest
from cryptography import x509
from cryptography.x509 import DNSName, RFC822Name, UniformResourceIdentifier
from cryptography.x509.oid import ExtensionOID, NameOID

from dicomgate_certificate.names import names_of, spelled
from plugins.certificate.tests.issued import CN, HOLDER, OU, O, issue, subject

DIGITS = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("written", "one"),
    [
        ("dns:CT-1.Hospital.example", "dns:ct-1.hospital.example"),
        ("dns:ct_1", "dns:ct_1"),
        ("email:CT-1@Hospital.example", "email:CT-1@hospital.example"),
        ("uri:spiffe://hospital.example/CT-1", "uri:spiffe://hospital.example/CT-1"),
        ("uri:urn:oid:1.2.3", "uri:urn:oid:1.2.3"),
        ("common-name:CT: 1*", "common-name:CT: 1*"),
        ("common-name:Gerät 1", "common-name:Gerät 1"),
        (f"sha256:{DIGITS.upper()}", f"sha256:{DIGITS}"),
        ("sha256:" + ":".join(DIGITS[place : place + 2] for place in range(0, 64, 2)), f"sha256:{DIGITS}"),
        ("subject:CN=ct-1,O=Hospital", "subject:CN=ct-1,O=Hospital"),
        ("subject:2.5.4.3=ct-1,O=Hospital", "subject:CN=ct-1,O=Hospital"),
        ("subject:CN=a+OU=b,O=x", "subject:OU=b+CN=a,O=x"),
        ("subject:CN=a\\2cb,O=x", "subject:CN=a\\,b,O=x"),
        ("subject:CN=ct-1,emailAddress=a@b", "subject:CN=ct-1,1.2.840.113549.1.9.1=a@b"),
    ],
)
def test_what_an_operator_writes(written: str, one: str) -> None:
    assert spelled(written) == one
    assert spelled(one) == one


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("ct-1.hospital.example", "must begin with one of sha256:, subject:, common-name:, dns:, uri:, email:"),
        ("DNS:ct-1", "must begin with one of"),
        ("", "must begin with one of"),
        ("dns:", "a DNS name"),
        ("dns:*.hospital.example", "without wildcards"),
        ("dns:ct-1.hospital.example.", "a DNS name"),
        ("dns:ct 1", "a DNS name"),
        ("dns:gerät", "in ASCII"),
        ("dns:" + "a." * 127 + "b", "a DNS name"),
        ("email:ct-1", "a mail address"),
        ("email:@hospital.example", "a mail address"),
        ("email:a@b@c", "a mail address"),
        ("uri:ct-1", "its scheme"),
        ("uri:urn:a b", "without spaces"),
        ("common-name:", "a common name"),
        ("common-name:a\nb", "a common name"),
        (f"sha256:{DIGITS[1:]}", "64 hexadecimal digits"),
        (f"sha256:{DIGITS}0", "64 hexadecimal digits"),
        (f"sha256:{DIGITS[1:]}g", "64 hexadecimal digits"),
        ("subject:", "a subject"),
        ("subject:ct-1", "a subject"),
        ("subject:C=DE, O=Hospital, CN=ct-1", "most specific first, without spaces"),
        ("subject:CN = ct-1", "without spaces"),
        ("subject:CN=", "a subject"),
    ],
)
def test_what_is_no_name(written: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        spelled(written)


def read(certificate: bytes) -> list[str]:
    found = names_of(x509.load_der_x509_certificate(certificate))
    return [f"{kind}:{value}" for kind, values in found.items() for value in values]


def test_every_name_of_a_certificate() -> None:
    certificate = issue(
        HOLDER,
        [
            DNSName("CT-1.hospital.example"),
            DNSName("ct-1.HOSPITAL.example"),
            DNSName("archive.hospital.example"),
            UniformResourceIdentifier("urn:ct-1"),
            RFC822Name("CT-1@HOSPITAL.example"),
            x509.RegisteredID(NameOID.COMMON_NAME),
        ],
    )
    assert read(certificate) == [
        f"sha256:{sha256(certificate).hexdigest()}",
        "subject:CN=ct-1,O=Hospital",
        "common-name:ct-1",
        "dns:ct-1.hospital.example",
        "dns:archive.hospital.example",
        "uri:urn:ct-1",
        "email:CT-1@hospital.example",
    ]


def test_a_certificate_without_names() -> None:
    certificate = issue(x509.Name([]), [DNSName("a")])
    assert read(certificate) == [f"sha256:{sha256(certificate).hexdigest()}", "dns:a"]


SUBJECTS = [
    HOLDER,
    subject([(O, "Hospital"), (OU, "CT")], [(CN, "ct-1"), (NameOID.SERIAL_NUMBER, "17")]),
    subject([(NameOID.COUNTRY_NAME, "DE")], [(O, 'a,b+c="d"\\<e>;#')], [(CN, " ct#1 ")]),
    subject([(NameOID.DOMAIN_COMPONENT, "example")], [(NameOID.EMAIL_ADDRESS, "a@b")], [(CN, "Gerät\r\n")]),
    subject([(CN, "a")], [(CN, "b")]),
]


@pytest.mark.parametrize("holder", SUBJECTS, ids=lambda holder: holder.rfc4514_string())
def test_what_the_log_says_can_be_configured(holder: x509.Name) -> None:
    """The log names an unknown certificate as it is: what an operator copies from there is its name."""
    names = read(issue(holder))
    (one,) = [name for name in names if name.startswith("subject:")]
    assert spelled(one) == one
    others = [read(issue(other)) for other in SUBJECTS if other is not holder]
    assert all(one not in other for other in others)


def test_attributes_that_stand_together_have_no_order() -> None:
    one, other = subject([(CN, "a"), (OU, "b")]), subject([(OU, "b"), (CN, "a")])
    assert read(issue(one))[1] == read(issue(other))[1] == spelled("subject:OU=b+CN=a")
    assert read(issue(subject([(OU, "b")], [(CN, "a")])))[1] != read(issue(one))[1]


@pytest.mark.parametrize(
    "content", [b"", b"\x30\x03\x82\x01", b"\x30\x03\x82\x01\xff", b"\x30\x03\xa3\x01a", b"nonsense"]
)
def test_what_cannot_be_read(content: bytes) -> None:
    """An alternative name that is none: the certificate has no names at all, not those that could be read."""
    with pytest.raises(ValueError):
        read(issue(HOLDER, [], x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, content)))
    right = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b"\x30\x03\x82\x01a")
    assert read(issue(HOLDER, [], right))[-1] == "dns:a"

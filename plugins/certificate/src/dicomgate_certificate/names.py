"""The names of a certificate, in one spelling each: "dns:ct-1.hospital.example", "sha256:a6d3...", and so on.

Rule: two names are the same if, and only if, their spellings are. Host names are in lower case (RFC 5280 7.2, 7.5),
      fingerprints without colons, subjects as in RFC 4514. Everything else is compared exactly: `CT-1` is not `ct-1`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

Kind = Literal["sha256", "subject", "common-name", "dns", "uri", "email", "proxy_cn"]

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+")
_LOCAL_PART = re.compile(r"[\x21-\x3f\x41-\x7e]+")
_ALSO_KNOWN = {"emailAddress": NameOID.EMAIL_ADDRESS, "serialNumber": NameOID.SERIAL_NUMBER}
"""Attribute names that OpenSSL writes and RFC 4514 3 does not have."""


def names_of(certificate: x509.Certificate) -> dict[Kind, list[str]]:
    """Its names by kind, each value once. Raises ValueError or TypeError if the certificate cannot be read."""
    found: dict[Kind, list[str]] = {
        "sha256": [certificate.fingerprint(SHA256()).hex()],
        "subject": [_subject(certificate.subject)] if list(certificate.subject) else [],
        "common-name": [_text(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)],
    }
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        pass
    except (x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise ValueError(str(error)) from error
    else:
        hosts, mail = (alternative.get_values_for_type(kind) for kind in (x509.DNSName, x509.RFC822Name))
        if not all(one.isascii() for one in (*hosts, *mail)):  # RFC 5280 4.2.1.6; and KELVIN SIGN in lower case is "k"
            raise ValueError("a DNS name or mail address is not ASCII")
        found["dns"] = [one.lower() for one in hosts]
        found["uri"] = alternative.get_values_for_type(x509.UniformResourceIdentifier)
        found["email"] = [_mail_address(one) for one in mail]
    return {kind: list(dict.fromkeys(values)) for kind, values in found.items()}


def spelled(name: str) -> str:
    """An operator's name in that spelling. Raises ValueError, which says what is wrong with it."""
    kind, _, value = name.partition(":")
    spell = _SPELLINGS.get(kind)
    if spell is None:
        raise ValueError(f"must begin with one of {', '.join(f'{one}:' for one in _SPELLINGS)}")
    return f"{kind}:{spell(value)}"


def _subject(subject: x509.Name) -> str:
    # RFC 4514 2.2: the attributes of one RDN (`CN=a+OU=b`) may be written in any order.
    ordered = (sorted(rdn, key=lambda one: (one.oid.dotted_string, str(one.value))) for rdn in subject.rdns)
    return x509.Name(map(x509.RelativeDistinguishedName, ordered)).rfc4514_string()


def _text(value: str | bytes) -> str:
    if isinstance(value, bytes):
        raise ValueError("its common name is not text")  # noqa: TRY004 (the certificate's fault, not the caller's)
    return value


def _mail_address(value: str) -> str:
    local_part, at, host = value.rpartition("@")
    return f"{local_part}{at}{host.lower()}"


def _spell_fingerprint(value: str) -> str:
    plain = value.replace(":", "").lower()
    if _FINGERPRINT.fullmatch(plain) is None:
        raise ValueError("a SHA-256 fingerprint has 64 hexadecimal digits, colons allowed")
    return plain


def _spell_subject(value: str) -> str:
    try:
        subject = x509.Name.from_rfc4514_string(value, _ALSO_KNOWN)
    except ValueError:
        subject = x509.Name([])
    if not list(subject):
        raise ValueError("write a subject as in RFC 4514, most specific first, without spaces: CN=ct-1,O=Hospital")
    return _subject(subject)


def _spell_common_name(value: str) -> str:
    if not value or not value.isprintable():
        raise ValueError("a common name must be printable text")
    return value


def _spell_host(value: str) -> str:
    if _HOST.fullmatch(value.lower()) is None:
        raise ValueError("write a DNS name in full, in ASCII, without wildcards: ct-1.hospital.example")
    return value.lower()


def _spell_uri(value: str) -> str:
    if _URI.fullmatch(value) is None:
        raise ValueError("a URI begins with its scheme, and is ASCII without spaces")
    return value


def _spell_mail_address(value: str) -> str:
    local_part, _, host = value.rpartition("@")
    if _LOCAL_PART.fullmatch(local_part) is None or _HOST.fullmatch(host.lower()) is None:
        raise ValueError("a mail address is local-part@host, in ASCII")
    return _mail_address(value)


_SPELLINGS: Mapping[str, Callable[[str], str]] = {
    "sha256": _spell_fingerprint,
    "subject": _spell_subject,
    "common-name": _spell_common_name,
    "dns": _spell_host,
    "uri": _spell_uri,
    "email": _spell_mail_address,
    "proxy_cn": _spell_common_name,
}

"""The names of a certificate, in one spelling each: "dns:ct-1.hospital.example", "sha256:a6d3...", and so on.

Law: two names are the same if, and only if, their spellings are. What may be written in several ways has one here: the
     host of a DNS name and of a mail address without case (RFC 5280 7.2, 7.5), a fingerprint without colons, a subject
     as RFC 4514 writes it. Everything else counts as it stands, case included: `CT-1` is not `ct-1`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

Kind = Literal["sha256", "subject", "common-name", "dns", "uri", "email"]

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+")
_LOCAL_PART = re.compile(r"[\x21-\x3f\x41-\x7e]+")
_ALSO_KNOWN = {"emailAddress": NameOID.EMAIL_ADDRESS, "serialNumber": NameOID.SERIAL_NUMBER}
"""What OpenSSL writes into a subject beside the names of RFC 4514 3."""


def names_of(certificate: x509.Certificate) -> dict[Kind, list[str]]:
    """The values of its names by kind, each value once. Raises ValueError or TypeError for what cannot be read."""
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
        for one in (*alternative.get_values_for_type(x509.DNSName), *alternative.get_values_for_type(x509.RFC822Name)):
            if not one.isascii():  # RFC 5280 4.2.1.6: IA5String; and the lower case of KELVIN SIGN is "k"
                raise ValueError("a DNS name or mail address that is not ASCII")
        found["dns"] = [one.lower() for one in alternative.get_values_for_type(x509.DNSName)]
        found["uri"] = alternative.get_values_for_type(x509.UniformResourceIdentifier)
        found["email"] = [_mail_address(one) for one in alternative.get_values_for_type(x509.RFC822Name)]
    return {kind: list(dict.fromkeys(values)) for kind, values in found.items()}


def spelled(name: str) -> str:
    """What an operator wrote, in the one spelling. Raises ValueError, with what is wrong with it."""
    kind, _, value = name.partition(":")
    spell = _SPELLINGS.get(kind)
    if spell is None:
        raise ValueError(f"begins with none of {', '.join(f'{one}:' for one in _SPELLINGS)}")
    return f"{kind}:{spell(value)}"


def _subject(subject: x509.Name) -> str:
    # RFC 4514 2.2 leaves the order of attributes that stand together (`CN=a+OU=b`) to whoever writes them.
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
        raise ValueError("a SHA-256 is 64 hexadecimal digits, colons allowed")
    return plain


def _spell_subject(value: str) -> str:
    try:
        subject = x509.Name.from_rfc4514_string(value, _ALSO_KNOWN)
    except ValueError:
        subject = x509.Name([])
    if not list(subject):
        raise ValueError("a subject is as RFC 4514 writes it, the last first and without spaces: CN=ct-1,O=Hospital")
    return _subject(subject)


def _spell_common_name(value: str) -> str:
    if not value or not value.isprintable():
        raise ValueError("a common name is text that can be printed")
    return value


def _spell_host(value: str) -> str:
    if _HOST.fullmatch(value.lower()) is None:
        raise ValueError("a DNS name is written out, in ASCII: ct-1.hospital.example; there are no wildcards")
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
}

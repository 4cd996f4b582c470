"""The identity provider of the demonstration: it signs SAML assertions.

Law: the private key stands nowhere but in memory; assertions live for a minute, and log in once.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from onelogin.saml2.utils import OneLogin_Saml2_Utils

from .folder import AUDIENCE, PROVIDER, PROVIDER_CERTIFICATE

_LIFETIME = timedelta(minutes=1)
_ASSERTION = """\
<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{id}" Version="2.0" IssueInstant="{now}">\
<saml:Issuer>{issuer}</saml:Issuer>\
<saml:Subject><saml:NameID>{user}</saml:NameID>\
<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">\
<saml:SubjectConfirmationData NotOnOrAfter="{end}" Recipient="{audience}"/></saml:SubjectConfirmation></saml:Subject>\
<saml:Conditions NotOnOrAfter="{end}"><saml:AudienceRestriction><saml:Audience>{audience}</saml:Audience>\
</saml:AudienceRestriction></saml:Conditions>\
<saml:AuthnStatement AuthnInstant="{now}"><saml:AuthnContext><saml:AuthnContextClassRef>\
urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport\
</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement></saml:Assertion>"""


class Provider:
    """Issues assertions for one user; writes its certificate into the folder."""

    def __init__(self, folder: Path, user: str) -> None:
        key = generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the demonstration's identity provider")])
        now = datetime.now(UTC)
        plain = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        certificate = plain.sign(key, SHA256()).public_bytes(Encoding.PEM)
        (folder / PROVIDER_CERTIFICATE).write_bytes(certificate)
        self._user = user
        self._key = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
        self._certificate = certificate.decode("ascii")
        self._last = b""

    def assertion(self) -> bytes:
        """A new assertion."""
        now = datetime.now(UTC)
        document = _ASSERTION.format(
            id=f"_{secrets.token_hex(16)}",
            now=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            end=(now + _LIFETIME).strftime("%Y-%m-%dT%H:%M:%SZ"),
            issuer=PROVIDER,
            audience=AUDIENCE,
            user=self._user,
        )
        signed = OneLogin_Saml2_Utils.add_sign(document, self._key, self._certificate)
        self._last = signed if isinstance(signed, bytes) else signed.encode("utf-8")
        return self._last

    def last(self) -> bytes:
        """The assertion that was issued last, once more."""
        return self._last

    def changed(self) -> bytes:
        """A new assertion in which somebody has written another name."""
        return self.assertion().replace(f">{self._user}<".encode(), b">admin<")

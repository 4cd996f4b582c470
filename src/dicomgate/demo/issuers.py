"""Issuers of tokens, SAML assertions and, where a KDC is installed, Kerberos tickets.

Rule: private keys are kept only in memory; tokens and assertions are valid for a minute. After the demonstration,
KRB5_... of the environment is as it was before, and no file of the system was read or written.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID
from onelogin.saml2.utils import OneLogin_Saml2_Utils

from ..auth.loading import installed
from ..errors import StartError
from ..scu.login import SingleSignOn
from ..testing.kdc import NEEDED, SERVICE, run_kdc
from .folder import AUDIENCE, ISSUER, ISSUER_KEY, KDC, KEYTAB, PROVIDER, PROVIDER_CERTIFICATE

_LIFETIME = 60  # seconds, of tokens and assertions
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


class Issuer:
    """Issues access tokens (RFC 9068) for one user; writes its public key into the folder."""

    def __init__(self, folder: Path, user: str) -> None:
        self._user = user
        self._key = generate_private_key(SECP256R1())
        public = self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (folder / ISSUER_KEY).write_bytes(public)

    def token(self, *, issued: int = 0, key: EllipticCurvePrivateKey | None = None) -> bytes:
        """A token that was issued `issued` seconds ago; signed with another key, if one is given."""
        began = int(time.time()) - issued
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": self._user, "iat": began, "exp": began + _LIFETIME}
        return jwt.encode(claims, key or self._key, "ES256", {"typ": "at+jwt"}).encode()

    def forged(self) -> bytes:
        """A token whose claims are right, signed by another issuer."""
        return self.token(key=generate_private_key(SECP256R1()))


class Provider:
    """Issues assertions for one user; writes its certificate into the folder."""

    def __init__(self, folder: Path, user: str) -> None:
        key = generate_rsa_key(65537, 2048)
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
            end=(now + timedelta(seconds=_LIFETIME)).strftime("%Y-%m-%dT%H:%M:%SZ"),
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
        """A new assertion, with another name written into it after it was signed."""
        return self.assertion().replace(f">{self._user}<".encode(), b">admin<")


def missing() -> str:
    """What must be installed for Kerberos, in words; empty if all is there."""
    found = []
    if "kerberos" not in installed() or find_spec("gssapi") is None:
        found.append(
            "the kerberos plugin (pip install ./plugins/kerberos), which needs gcc, python3-dev and libkrb5-dev"
        )
    if NEEDED:
        found.append("a KDC (apt-get install krb5-kdc krb5-admin-server krb5-user)")
    return " and ".join(found)


class Tickets:
    """A context manager: a realm with one user, who may log in to the gateway; its keytab is in the folder."""

    service = SERVICE

    def __init__(self, folder: Path, user: str) -> None:
        self._folder = folder
        self._user = user
        self._last = b""
        self._stack = ExitStack()

    def __enter__(self) -> Tickets:
        """Raises StartError if the KDC does not start."""
        with ExitStack() as stack:
            home = self._folder / KDC
            home.mkdir(mode=0o700)
            try:
                kdc = stack.enter_context(run_kdc(home, users=[self._user]))
                kdc.keytab(SERVICE).rename(self._folder / KEYTAB)
                theirs = kdc.log_in(self._user)
            except (OSError, RuntimeError, subprocess.SubprocessError) as error:
                raise StartError(f"the KDC of the demonstration does not start: {error}") from error
            before = {name: value for name, value in os.environ.items() if name.startswith("KRB5")}
            stack.callback(_set, before)
            _set({name: theirs[name] for name in ("KRB5_CONFIG", "KRB5CCNAME")} | {"KRB5RCACHEDIR": str(home)})
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def ticket(self) -> bytes:
        """What the user sends to log in: a GSS-API token, made for one login."""
        self._last = SingleSignOn(SERVICE).identity.primary
        return self._last

    def last(self) -> bytes:
        """The token that was made last, once more."""
        return self._last


def _set(environment: dict[str, str]) -> None:
    """Let these be all of Kerberos' variables."""
    for name in [name for name in os.environ if name.startswith("KRB5")]:
        del os.environ[name]
    os.environ.update(environment)

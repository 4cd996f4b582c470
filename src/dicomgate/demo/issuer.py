"""The token issuer of the demonstration: a key made at the start.

Law: the private key stands nowhere but in memory; tokens live for a minute.
"""

from __future__ import annotations

import time
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .folder import AUDIENCE, ISSUER, ISSUER_KEY

_LIFETIME = 60


class Issuer:
    """Issues access tokens (RFC 9068) for one user; writes its public key into the folder."""

    def __init__(self, folder: Path, user: str) -> None:
        self._user = user
        self._key = generate_private_key(SECP256R1())
        public = self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (folder / ISSUER_KEY).write_bytes(public)

    def token(self, *, issued: int = 0, key: EllipticCurvePrivateKey | None = None) -> bytes:
        """A token, issued so many seconds ago; signed with another key, if one is given."""
        began = int(time.time()) - issued
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": self._user, "iat": began, "exp": began + _LIFETIME}
        return jwt.encode(claims, key or self._key, "ES256", {"typ": "at+jwt"}).encode()

    def forged(self) -> bytes:
        """A token with every claim right, and signed by somebody else."""
        return self.token(key=generate_private_key(SECP256R1()))

"""Tokens as an issuer signs them, and as none would: keys made once, claims and headers changed at will.

GONE takes a claim or a header away: `mint(exp=GONE)`, `mint(P256, header={"kid": GONE})`.
"""

from __future__ import annotations

import asyncio
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID
from jwt.algorithms import get_default_algorithms

from dicomgate import Attempt, Decision
from dicomgate.testing import attempt, jwt
from dicomgate_jwt import Introspection, Jwt

ISSUER = "https://login.hospital.example/realms/imaging"
AUDIENCE = "https://pacs.hospital.example/dicom"
HEADER = {"alg": "RS256", "typ": "at+jwt", "kid": "rsa"}


class _Gone:
    def __repr__(self) -> str:
        return "GONE"


GONE = _Gone()
_ALGORITHMS = get_default_algorithms()


@dataclass(frozen=True)
class Signer:
    """A key of an issuer: its name in the set, the algorithm that it signs with unless told otherwise."""

    id: str
    algorithm: str
    private: Any = field(repr=False)

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key as in a key set."""
        described = _ALGORITHMS[self.algorithm].to_jwk(self.private.public_key(), as_dict=True)
        return {**described, "kid": self.id, "use": "sig", "key_ops": ["verify"]}

    @property
    def pem(self) -> bytes:
        """The public key as an operator gets it in a file."""
        return bytes(self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    @property
    def der(self) -> bytes:
        return bytes(self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    @property
    def private_pem(self) -> bytes:
        """The private key as an operator has it in a file."""
        return bytes(self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    @property
    def certificate(self) -> bytes:
        """A certificate of the public key, in DER, signed with the key itself."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "login.hospital.example")])
        now = datetime.now(UTC)
        plain = x509.CertificateBuilder(name, name, self.private.public_key(), 1, now, now + timedelta(days=1))
        edwards = isinstance(self.private, ed25519.Ed25519PrivateKey)
        return plain.sign(self.private, None if edwards else SHA256()).public_bytes(Encoding.DER)

    def sign(self, data: bytes, algorithm: str | None = None) -> bytes:
        return _ALGORITHMS[algorithm or self.algorithm].sign(data, self.private)


RSA = Signer("rsa", "RS256", rsa.generate_private_key(65537, 2048))
OTHER_RSA = Signer("other-rsa", "RS256", rsa.generate_private_key(65537, 2048))
P256 = Signer("p256", "ES256", ec.generate_private_key(ec.SECP256R1()))
P384 = Signer("p384", "ES384", ec.generate_private_key(ec.SECP384R1()))
P521 = Signer("p521", "ES512", ec.generate_private_key(ec.SECP521R1()))
ED25519 = Signer("ed25519", "EdDSA", ed25519.Ed25519PrivateKey.generate())
PUBLISHED = (RSA, OTHER_RSA, P256, P384, P521, ED25519)
"""The issuer's key set."""
STRANGER = Signer("rsa", "RS256", rsa.generate_private_key(65537, 2048))
"""A key that is not the issuer's, and calls itself by the name of one that is."""
SECRET = Signer("secret", "HS512", b"n5Q0bV9wXcE3tYk7mZ2rLhJ8uGfD1sApI6oRzT4yHvKqNxWjB0lMeUgC5iSdFaPO")


def key_set(*keys: Signer, also: tuple[Mapping[str, Any], ...] = ()) -> bytes:
    """The JSON Web Key Set of these keys, and of further members."""
    return json.dumps({"keys": [*(key.jwk for key in keys or PUBLISHED), *also]}).encode()


def written(path: Path, content: bytes, mode: int = 0o644) -> Path:
    """The file, with that content and those permissions."""
    path.write_bytes(content)
    path.chmod(mode)
    return path


def authenticator(folder: Path, **options: Any) -> Jwt:
    """The authenticator of the issuer, with its keys in a file unless the options say where they are."""
    if not {"jwks_file", "public_key_file", "secret_file", "jwks_url", "discovery"} & options.keys():
        options["jwks_file"] = written(folder / "keys.json", key_set())
    return Jwt(**{"issuer": ISSUER, "audience": AUDIENCE, **options})


def claims(**changes: Any) -> dict[str, Any]:
    """What a genuine token says, with these changes."""
    now = int(time.time())
    genuine = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + 300, "jti": "9f1c"}
    return _changed(genuine, changes)


def mint(key: Signer = RSA, *, header: Mapping[str, Any] | None = None, **changes: Any) -> str:
    """A token whose signature is good, with these headers and claims beside the genuine ones."""
    described = _changed({"alg": key.algorithm, "typ": "at+jwt", "kid": key.id}, header or {})
    return signed(described, claims(**changes), key)


def signed(header: object, payload: object, key: Signer = RSA, algorithm: str | None = None) -> str:
    """Whatever it is (bytes are left as they are), signed; the algorithm is the key's, whatever the header says."""
    unsigned = f"{encoded(header)}.{encoded(payload)}"
    return f"{unsigned}.{encoded(key.sign(unsigned.encode(), algorithm))}"


def encoded(part: object) -> str:
    """A part of a token."""
    data = part if isinstance(part, bytes) else json.dumps(part, separators=(",", ":")).encode()
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(part: str) -> bytes:
    """What is in a part of a token."""
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


def thumbprint(certificate: bytes) -> str:
    """What binds a token to a certificate, RFC 8705 3.1."""
    return encoded(sha256(certificate).digest())


def login(token: str | bytes, *, response: bool = False, **fields: Any) -> Attempt:
    """One login with this token; with `response` a positive response is asked for."""
    return attempt(jwt(token, positive_response_requested=response), **fields)


def ask(judge: Jwt | Introspection, token: str | bytes, **fields: Any) -> Decision:
    """The answer to one login."""
    return asyncio.run(judge.authenticate(login(token, **fields)))


def _changed(genuine: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**genuine, **changes}.items() if value is not GONE}

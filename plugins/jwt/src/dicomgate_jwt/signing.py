"""The gateway's own private keys, with which it signs tokens. PyJWT signs (RFC 7515)."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import get_default_algorithms

from dicomgate import ConfigError
from dicomgate.kit.certificates import read_private_key

_ALGORITHMS = get_default_algorithms()
_NAMED_BY = ("crv", "e", "k", "kty", "n", "x", "y")
"""RFC 7638 3.2: the members of a public key that its thumbprint is made of."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key, the algorithm that it signs with, and the public key as a JSON Web Key (RFC 7517)."""

    private: Any = field(repr=False)
    algorithm: str
    public: Mapping[str, Any]

    def sign(self, claims: Mapping[str, Any], type_: str) -> str:
        """A token with these claims; its header has `type_` as `typ`, and the key's name."""
        return jwt.encode(dict(claims), self.private, self.algorithm, {"typ": type_, "kid": self.public["kid"]})


def read_signing_key(path: Path) -> SigningKey:
    """The private key in a PEM file: on the curve P-256, or Ed25519; its name is its thumbprint. Raises ConfigError.

    Their signatures take a twentieth of a millisecond.
    """
    key = read_private_key(path)
    match key:
        case EllipticCurvePrivateKey() if isinstance(key.curve, SECP256R1):
            algorithm = "ES256"
        case Ed25519PrivateKey():
            algorithm = "EdDSA"
        case _:
            raise ConfigError(f"{path}: must be a key on the curve P-256 or Ed25519")
    described = _ALGORITHMS[algorithm].to_jwk(key.public_key(), as_dict=True)
    members = {name: described[name] for name in _NAMED_BY if name in described}
    # RFC 7638 3: "no whitespace or line breaks ... ordered lexicographically by the Unicode code points".
    thumbprint = sha256(json.dumps(members, separators=(",", ":")).encode()).digest()
    name = urlsafe_b64encode(thumbprint).rstrip(b"=").decode()
    return SigningKey(key, algorithm, {**members, "kid": name, "use": "sig", "alg": algorithm})

"""The gateway's response to a token (sub-item 59H), with which a client can recognise the gateway.

PS3.7 D.3.3.7.2 does not define the server response for type 5. By default it is empty. With a key it is a token of the
gateway's own (RFC 7519): for this client, about this login, valid for a minute. It never repeats what was received.
"""

from __future__ import annotations

import time
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path

from dicomgate import Attempt

from .signing import read_signing_key
from .token import Token

TYPE = "dicomgate-response+jwt"
"""RFC 8725 3.11, explicit typing: a service that verifies types does not take it for an access token."""
LIFETIME = 60


class Responder:
    """Signs with the private key in a PEM file. Raises ConfigError if there is none that can be used."""

    def __init__(self, path: Path, name: str) -> None:
        self._name = name
        self._key = read_signing_key(path)

    def respond(self, token: Token, user: str, attempt: Attempt) -> bytes:
        """A token that says that this gateway verified exactly that token, and whose it is.

        `nonce` is the base64url SHA-256 of the token as it was sent, without "Bearer " and line end.
        """
        now = int(time.time())
        claims = {
            "iss": self._name,
            "sub": user,
            "aud": attempt.calling_ae_title,
            "iat": now,
            "exp": now + LIFETIME,
            "nonce": urlsafe_b64encode(sha256(token.compact.encode()).digest()).rstrip(b"=").decode(),
        }
        return self._key.sign(claims, TYPE).encode()

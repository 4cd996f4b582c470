"""The field of the User Identity sub-item -> a JSON Web Token, read and not yet believed (RFC 7515 7.1, RFC 7519).

Rule 1: one form: compact, signed, three parts, base64url without padding and with nothing in it that a second reader
        could drop. So there is one spelling of a token, and one reading of its JSON.
Rule 2: of the header, the algorithm, the key's name and the type are read. What names keys of the token's own (`jwk`,
        `jku`, `x5u`, `x5c`) is never looked at, and nothing is ever fetched because a token says so (RFC 8725 3.10).
Rule 3: of the claims, the issuer alone may be used before the signature is verified, and only to choose among
        configured issuers.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .strict_json import NotJsonError, read_object

LONGEST = 32_768
"""Bytes of a token; the largest that providers are known to make, with 200 groups in them, have 12 kB."""

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")
_COMPACT = re.compile(rb"[^.]*\.[^.]*\.[^.]*")
_NAME = re.compile(r"[\x20-\x7e]{1,256}")
_MEDIA_TYPE = re.compile(r"[\x21-\x7e]{1,64}")
_NOT_UNDERSTOOD = ("crit", "b64", "enc", "zip")
"""RFC 7515 4.1.11, RFC 7797, RFC 7516: each changes what the token means."""


class NotATokenError(Exception):
    """It does not even look like a signed token in compact form: an opaque one, perhaps."""


class BadTokenError(Exception):
    """It looks like one, and is none that could be accepted."""


@dataclass(frozen=True, slots=True)
class Signed:
    """Something signed, whatever it is (RFC 7515): what its header says of it."""

    compact: str = field(repr=False)
    algorithm: str
    key_id: str | None
    type: str | None
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Token(Signed):
    """What a token says of itself. `claims` are to be believed only when the signature has been verified."""

    claims: Mapping[str, Any] = field(repr=False)

    @property
    def issuer(self) -> str | None:
        """Who says that it issued it; None if nobody does."""
        issuer = self.claims.get("iss")
        return issuer if isinstance(issuer, str) else None


def plain(data: bytes) -> bytes:
    """The field without the "Bearer " before it and the one line end behind it that clients leave there."""
    data = data.removeprefix(b"Bearer ")
    return data[:-1].removesuffix(b"\r") if data.endswith(b"\n") else data


def looks_like_one(data: bytes) -> bool:
    """True for three parts with dots between them, whatever is in them."""
    return _COMPACT.fullmatch(plain(data)) is not None


def read_token(data: bytes) -> Token:
    """The token in the primary field of an identity of type 5.

    Raises NotATokenError and BadTokenError; what they say is for the log, and repeats nothing but names.
    """
    signed = read_signed(data)
    claims = _read(signed.payload, "claims")
    return Token(signed.compact, signed.algorithm, signed.key_id, signed.type, signed.payload, claims)


def read_signed(data: bytes) -> Signed:
    """The same without a look at what is signed."""
    if not looks_like_one(data):
        raise NotATokenError("not a signed token in compact form: three parts with dots between them")
    compact = plain(data)
    if len(compact) > LONGEST:
        raise BadTokenError(f"{len(compact)} bytes; {LONGEST} are the most")
    try:
        text = compact.decode("ascii")
    except UnicodeDecodeError:
        raise BadTokenError("not ASCII") from None
    parts = zip(text.split("."), ("header", "claims", "signature"), strict=True)
    head, payload, signature = (_decoded(part, what) for part, what in parts)
    if not signature:
        raise BadTokenError("it is not signed")
    header = _read(head, "header")
    for name in _NOT_UNDERSTOOD:
        if name in header:
            raise BadTokenError(f"its header has {name!r}, which is not understood")
    algorithm = _text(header, "alg", _NAME)
    if algorithm is None:
        raise BadTokenError("its header names no algorithm")
    if (_text(header, "cty", _MEDIA_TYPE) or "").lower().removeprefix("application/") == "jwt":
        raise BadTokenError("a token within a token")
    return Signed(text, algorithm, _text(header, "kid", _NAME), _text(header, "typ", _MEDIA_TYPE), payload)


def _read(decoded: bytes, what: str) -> dict[str, Any]:
    try:
        return read_object(decoded)
    except NotJsonError as error:
        raise BadTokenError(f"its {what}: {error}") from None


def _decoded(part: str, what: str) -> bytes:
    """RFC 7515 2: base64url "with all trailing '=' characters omitted" and nothing else in it."""
    if _BASE64URL.fullmatch(part) is None or len(part) % 4 == 1:
        raise BadTokenError(f"its {what}: not base64url without padding")
    decoded = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if urlsafe_b64encode(decoded).rstrip(b"=") != part.encode():
        raise BadTokenError(f"its {what}: bits behind the last byte")
    return decoded


def _text(header: Mapping[str, Any], name: str, form: re.Pattern[str]) -> str | None:
    value = header.get(name)
    if name in header and (not isinstance(value, str) or form.fullmatch(value) is None):
        raise BadTokenError(f"its header: {name!r} is not a short text")
    return value

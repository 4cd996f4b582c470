"""The field of the User Identity sub-item -> a JSON Web Token that is not yet verified (RFC 7515 7.1, RFC 7519).

Rule 1: one form: compact, signed, three parts, base64url without padding and without bits that another reader could
        ignore. So each token has one spelling, and its JSON one meaning.
Rule 2: of the header, the algorithm, the key's name and the type are used. Members with a key of the token's own
        (`jwk`, `jku`, `x5u`, `x5c`) are ignored, and no URL in a token is ever fetched (RFC 8725 3.10).
Rule 3: before the signature is verified, no claim is used but the issuer, and that only to choose among the configured
        issuers.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from .claims import is_moment
from .strict_json import NotJsonError, read_object

LONGEST = 32_768
"""Bytes of a token. The largest known ones, with 200 groups in them, have 12 kB."""

_BASE64URL = re.compile(rb"[A-Za-z0-9_-]*")
_VISIBLE = re.compile(rb"[\x21-\x7e]+")
_SCHEME = b"bearer "
_NAME = re.compile(r"[\x20-\x7e]{1,256}")
_MEDIA_TYPE = re.compile(r"[\x21-\x7e]{1,64}")
_NOT_UNDERSTOOD = ("crit", "b64", "enc", "zip")
"""RFC 7515 4.1.11, RFC 7797, RFC 7516: each of them changes the meaning of the token."""


class NotATokenError(Exception):
    """The data does not look like a signed token in compact form; perhaps it is an opaque one. Fit for the log."""


class BadTokenError(Exception):
    """The data looks like a signed token, but is not one that could be accepted. The message repeats only names."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token, with what its header says. Its `claims` must not be believed before the `signature` is verified.

    The signature is that of the bytes in `signed`: the first two parts and the dot between them (RFC 7515 5.2).
    """

    compact: str = field(repr=False)
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    algorithm: str
    key_id: str | None
    type: str | None
    claims: Mapping[str, Any] = field(repr=False)

    @property
    def issuer(self) -> str | None:
        """The issuer that the token names; None if it names none."""
        issuer = self.claims.get("iss")
        return issuer if isinstance(issuer, str) else None


def plain(data: bytes) -> bytes:
    """The field without a leading "Bearer " and one trailing line end, which some clients send with it."""
    if data[: len(_SCHEME)].lower() == _SCHEME:  # RFC 9110 11.1: "a case-insensitive token to identify the scheme"
        data = data[len(_SCHEME) :]
    return data[:-1].removesuffix(b"\r") if data.endswith(b"\n") else data


def is_bearer(data: bytes) -> bool:
    """True for what can be sent as a token, signed or opaque: at most `LONGEST` visible characters (RFC 6749 A.12)."""
    return len(data) <= LONGEST and _VISIBLE.fullmatch(data) is not None


def looks_like_one(data: bytes) -> bool:
    """True for three parts with dots between them, whatever their content."""
    return plain(data).count(b".") == 2


def unverified_end(data: bytes) -> datetime | None:
    """When a token that somebody else must verify says that it expires (`exp`); None if it is opaque, or does not."""
    try:
        end = read_token(data).claims.get("exp")
    except (NotATokenError, BadTokenError):
        return None
    return datetime.fromtimestamp(end, UTC) if is_moment(end) else None


def read_token(data: bytes) -> Token:
    """The token in the primary field of an identity of type 5. Raises NotATokenError and BadTokenError."""
    if not looks_like_one(data):
        raise NotATokenError("not a signed token in compact form: three parts with dots between them")
    compact = plain(data)
    if len(compact) > LONGEST:
        raise BadTokenError(f"{len(compact)} bytes, more than {LONGEST}")
    if not compact.isascii():
        raise BadTokenError("not ASCII")
    signed, _, last = compact.rpartition(b".")
    first, _, second = signed.partition(b".")
    algorithm, key_id, type_ = _read_header(first)
    payload, signature = _decoded(second, "claims"), _decoded(last, "signature")
    if not signature:
        raise BadTokenError("it is not signed")
    return Token(compact.decode("ascii"), signed, signature, algorithm, key_id, type_, _read(payload, "claims"))


@lru_cache(maxsize=16)  # an issuer writes the same one into each of its tokens
def _read_header(part: bytes) -> tuple[str, str | None, str | None]:
    """The algorithm, the key's name and the type. Raises BadTokenError."""
    header = _read(_decoded(part, "header"), "header")
    for name in _NOT_UNDERSTOOD:
        if name in header:
            raise BadTokenError(f"its header has {name!r}, which is not understood")
    algorithm = _text(header, "alg", _NAME)
    if algorithm is None:
        raise BadTokenError("its header names no algorithm")
    if (_text(header, "cty", _MEDIA_TYPE) or "").lower().removeprefix("application/") == "jwt":
        raise BadTokenError("a token within a token")
    return algorithm, _text(header, "kid", _NAME), _text(header, "typ", _MEDIA_TYPE)


def _read(decoded: bytes, what: str) -> dict[str, Any]:
    try:
        return read_object(decoded)
    except NotJsonError as error:
        raise BadTokenError(f"its {what}: {error}") from None


def _decoded(part: bytes, what: str) -> bytes:
    """RFC 7515 2: base64url "with all trailing '=' characters omitted" and without any other characters."""
    if _BASE64URL.fullmatch(part) is None or len(part) % 4 == 1:
        raise BadTokenError(f"its {what}: not base64url without padding")
    decoded = urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    if urlsafe_b64encode(decoded).rstrip(b"=") != part:
        raise BadTokenError(f"its {what}: bits after the last byte")
    return decoded


def _text(header: Mapping[str, Any], name: str, form: re.Pattern[str]) -> str | None:
    value = header.get(name)
    if name in header and (not isinstance(value, str) or form.fullmatch(value) is None):
        raise BadTokenError(f"its header: {name!r} is not short text")
    return value

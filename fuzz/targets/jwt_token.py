"""JSON Web Tokens: `read_token`, with its three parts as they come and with their JSON encoded here (RFC 7515).

Promise: it is read, or refused with NotATokenError or BadTokenError.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from contextlib import suppress

from dicomgate_jwt.token import BadTokenError, NotATokenError, read_token

from ..corpora import files
from ..engine import Target

_REFUSALS = (NotATokenError, BadTokenError)
_HEADER, _CLAIMS = b'{"alg":"RS256","kid":"1","typ":"JWT"}', b'{"iss":"https://idp.example","sub":"alice","exp":2e9}'


def _run(data: bytes) -> None:
    with suppress(*_REFUSALS):
        read_token(data)
    read_token(_compact(data))


def _compact(parts: bytes) -> bytes:
    """A token of parts that are separated by NUL: a mutation of these reaches the JSON within."""
    return b".".join(urlsafe_b64encode(part).rstrip(b"=") for part in parts.split(b"\0"))


def _seeds() -> list[bytes]:
    parts = b"\0".join((_HEADER, _CLAIMS, b"signature"))
    corpus = [b"\0".join((_HEADER, text, b"s")) for text in files("json-parsing")]
    return [parts, _compact(parts), b"Bearer " + _compact(parts) + b"\r\n", *corpus]


TARGET = Target(
    "jwt_token", ("dicomgate_jwt.token", "dicomgate_jwt.strict_json"), _run, _REFUSALS, _seeds,
    (b"\0", b".", b'"', b"\\u0000", b"\\ud800", b"[" * 200, b'{"a":' * 200, b"1e999", b"-0", b"NaN", b"9" * 400),
)  # fmt: skip

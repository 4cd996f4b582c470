"""The login: sub-item 58H of the A-ASSOCIATE-RQ, 59H of the -AC (PS3.7 D.3.3.7).

An identity whose lengths do not add up is answered by an A-ABORT. A well-formed identity that no authenticator could
verify (a reserved type, a username that is not a name) is refused like any other, with REFUSED_IDENTITY.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..contract import Identity, IdentityType
from ..kit.text import claimed_name, looks_like_a_token
from .items import counted, counted_field, item, malformed
from .reject_abort import REFUSED_IDENTITY, PduError

# C0, DEL and C1: no name has them, and a NUL makes two readers see two names.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_C0 = re.compile(rb"[\x00-\x1f\x7f]")
_TYPES: Mapping[int, IdentityType] = {kind.value: kind for kind in IdentityType}
LONGEST_RESPONSE = 65_000
"""Bytes of a server response: sub-item 59H shares the 65,535 of item 50H with what else is negotiated."""
_NAMED = (IdentityType.USERNAME, IdentityType.USERNAME_AND_PASSCODE)


def read_identity(body: bytes, fallback_encoding: str | None = None) -> Identity:
    """Parse the body of a sub-item 58H.

    Usernames and passcodes that are not UTF-8 are decoded by `fallback_encoding`, and returned as UTF-8. Raises
    PduError.
    """
    if len(body) < 2:
        raise malformed(f"the user identity sub-item has {len(body)} bytes")
    primary, end = counted(body, 2, "the primary field of the user identity")
    secondary, end = counted(body, end, "the secondary field of the user identity")
    if end != len(body):
        raise malformed(f"{len(body) - end} bytes left over in the user identity sub-item")
    kind = _TYPES.get(body[0])
    if kind is None:
        raise PduError(f"user identity type {body[0]} is reserved", REFUSED_IDENTITY)
    # PS3.7 table D.3-14: "This field shall be of zero length unless the User-Identity-Type is 2".
    if secondary and kind != 2:
        raise malformed(f"a secondary field of {len(secondary)} bytes in a user identity of type {kind.value}")
    if kind in _NAMED:
        primary = _utf8(primary, fallback_encoding)
        _check_username(primary)
        if fallback_encoding is not None:
            secondary = _utf8(secondary, fallback_encoding)
    elif not primary:
        raise PduError(f"the user identity of type {kind.value} is empty", REFUSED_IDENTITY)
    # PS3.7 table D.3-14: 0 no response requested, 1 positive response requested; other values are taken as 1.
    return Identity(kind, primary, secondary, body[1] != 0)


def _utf8(value: bytes, fallback_encoding: str | None) -> bytes:
    if fallback_encoding is None:
        return value
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        try:
            # Strictly: a replacement character would turn two names, or two passcodes, into one.
            return value.decode(fallback_encoding).encode()
        except UnicodeError:
            message = f"the username or passcode is neither UTF-8 nor {fallback_encoding}"
            raise PduError(message, REFUSED_IDENTITY) from None
    return value


def _check_username(value: bytes) -> None:
    try:
        name = value.decode("utf-8")
    except UnicodeDecodeError:
        message = f"the username is not UTF-8: {_shown(value)} (a listener may name a fallback_encoding)"
        raise PduError(message, REFUSED_IDENTITY) from None
    if not name or _CONTROL.search(name):
        raise PduError(f"the username is empty or has control characters: {_shown(value)}", REFUSED_IDENTITY)


def _shown(username: bytes) -> str:
    # Up to the first control character: a wrong length may have made a passcode part of the name after it.
    first = _C0.split(username, 1)[0]
    name = first.decode("latin-1")
    return claimed_name(name) if looks_like_a_token(name) else repr(first[:64])


def encode_identity(identity: Identity) -> bytes:
    """The sub-item 58H, header included. Raises DoesNotFit."""
    head = bytes((identity.type, identity.positive_response_requested))
    return item(0x58, head + counted_field(identity.primary) + counted_field(identity.secondary))


def encode_server_response(response: bytes) -> bytes:
    """The sub-item 59H, header included; `59 00 00 02 00 00` for an empty response. Raises DoesNotFit."""
    return item(0x59, counted_field(response))


def read_server_response(body: bytes) -> bytes:
    """Parse the body of a sub-item 59H. Raises PduError."""
    response, end = counted(body, 0, "the server response")
    if end != len(body):
        raise malformed(f"{len(body) - end} bytes left over in the server response")
    return response

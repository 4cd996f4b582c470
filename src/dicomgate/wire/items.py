"""Walk and build the variable items of the A-ASSOCIATE PDUs (PS3.8 9.3.2, PS3.7 annex D.3).

Every item is a type, a reserved byte, a 16-bit length and a body. Walking checks that each length stays inside its
enclosing item and that nothing is left over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from struct import Struct

from ..errors import DoesNotFit, PduError
from .refusal import INVALID_PARAMETER

_ITEM = Struct(">BxH")
_LENGTH = Struct(">H")
LONGEST = 0xFFFF

KNOWN = frozenset((0x10, 0x20, 0x21, 0x30, 0x40, *range(0x50, 0x5A)))
"""Every item type that the standard defines. One of them in the wrong place is refused; all others are ignored."""

# PS3.5 9.1: digits and dots, at most 64 bytes. Leading zeros of a component occur in the field and mislead nobody.
_UID = re.compile(rb"[0-9]+(?:\.[0-9]+)*")
_LONGEST_UID = 64


def malformed(message: str) -> PduError:
    """The error for a value that the standard does not allow: A-ABORT, invalid-PDU-parameter-value."""
    return PduError(message, INVALID_PARAMETER.encode())


def walk(pdu: bytes, start: int, end: int, where: str) -> Iterator[tuple[int, int, int]]:
    """The items between two offsets of a PDU, as (type, start of body, end of body).

    Raises PduError when a header or a body does not fit, naming `where`.
    """
    unpack = _ITEM.unpack_from
    while start < end:
        if end - start < 4:
            raise malformed(f"{end - start} bytes left over in {where}")
        kind, length = unpack(pdu, start)
        start += 4
        if length > end - start:
            raise malformed(f"item {kind:02X}H in {where} declares {length} bytes, {end - start} are left")
        yield kind, start, start + length
        start += length


def misplaced(kind: int, where: str) -> None:
    """Ignore an item of unknown type; raise PduError for a known one, whose place is elsewhere.

    PS3.8 9.3.1: "Items of unrecognized types shall be ignored".
    """
    if kind in KNOWN:
        raise malformed(f"item {kind:02X}H does not belong in {where}")


def counted(pdu: bytes, start: int, end: int, where: str) -> tuple[int, int]:
    """Start and end of a field preceded by its own 16-bit length. Raises PduError when it does not fit."""
    if end - start < 2:
        raise malformed(f"{where} lacks its length")
    (length,) = _LENGTH.unpack_from(pdu, start)
    start += 2
    if length > end - start:
        raise malformed(f"{where} declares {length} bytes, {end - start} are left")
    return start, start + length


def read_uid(pdu: bytes, start: int, end: int, where: str) -> bytes:
    """A UID, checked. One trailing NUL, which pads it in data sets, is dropped. Raises PduError."""
    uid = pdu[start:end]
    if _is_uid(uid):
        return uid
    if uid[-1:] == b"\0" and _is_uid(uid[:-1]):
        return uid[:-1]
    # Its bytes stay out of the message: behind a wrong length they can be those of a passcode.
    raise malformed(f"{where} of {len(uid)} bytes is not a UID")


@lru_cache(maxsize=2048)
def _is_uid(value: bytes) -> bool:
    """Remembered, because the same few hundred UIDs come in every request."""
    return len(value) <= _LONGEST_UID and _UID.fullmatch(value) is not None


def item(kind: int, body: bytes) -> bytes:
    """One encoded item. Raises DoesNotFit when the body exceeds its 16-bit length."""
    if len(body) > LONGEST:
        raise DoesNotFit(f"item {kind:02X}H would have {len(body)} bytes, {LONGEST} fit")
    return _ITEM.pack(kind, len(body)) + body


@lru_cache(maxsize=2048)
def uid_item(kind: int, uid: bytes) -> bytes:
    """One encoded item that holds a UID."""
    return _ITEM.pack(kind, len(uid)) + uid


def counted_field(value: bytes) -> bytes:
    """A field preceded by its own 16-bit length. Raises DoesNotFit."""
    if len(value) > LONGEST:
        raise DoesNotFit(f"a field would have {len(value)} bytes, {LONGEST} fit")
    return _LENGTH.pack(len(value)) + value

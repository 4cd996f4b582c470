"""Walk and build the variable items of the A-ASSOCIATE PDUs (PS3.8 9.3.2, PS3.7 annex D.3).

Every item is a type, a reserved byte, a 16-bit length and a body. Walking checks that each length stays inside its
enclosing item and that nothing is left over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from struct import Struct

from ..errors import DoesNotFit
from .reject_abort import INVALID_PARAMETER, PduError

_ITEM = Struct(">BxH")
_LENGTH = Struct(">H")
LONGEST = 0xFFFF

KNOWN = frozenset((0x10, 0x20, 0x21, 0x30, 0x40, *range(0x50, 0x5A)))
"""Every item type that the standard defines. One in the wrong place is refused; all other types are ignored."""

# PS3.5 9.1: digits and dots, at most 64 bytes. Leading zeros of a component occur in practice and do no harm.
_UID = re.compile(rb"[0-9]+(?:\.[0-9]+)*")
_DIGITS_AND_DOTS = re.compile(rb"[0-9.]{0,64}")
_LONGEST_UID = 64

MOST_ITEMS = 1024
"""The most items in one PDU or item: far more than any client sends, and few enough to be walked in a millisecond."""


def malformed(message: str) -> PduError:
    """The error for a value that the standard does not allow: A-ABORT, invalid-PDU-parameter-value."""
    return PduError(message, INVALID_PARAMETER)


def walk(data: bytes, start: int, where: str, most: int = MOST_ITEMS) -> Iterator[tuple[int, bytes]]:
    """The items from an offset to the end of `data`, as (type, body).

    Raises PduError when a header or a body does not fit, or when there are more than `most`; it names `where`.
    """
    end = len(data)
    while start < end:
        if not most:
            raise malformed(f"too many items in {where}")
        most -= 1
        first = start + 4
        if first > end:
            raise malformed(f"{end - start} bytes left over in {where}")
        kind, length = _ITEM.unpack_from(data, start)
        start = first + length
        if start > end:
            raise malformed(f"item {kind:02X}H in {where} declares {length} bytes, {end - first} are left")
        yield kind, data[first:start]


def misplaced(kind: int, where: str) -> None:
    """Ignore an item of unknown type; raise PduError for a known one, whose place is elsewhere.

    PS3.8 9.3.1: "Items of unrecognized types shall be ignored".
    """
    if kind in KNOWN:
        raise malformed(f"item {kind:02X}H does not belong in {where}")


def counted(data: bytes, start: int, where: str) -> tuple[bytes, int]:
    """A field preceded by its own 16-bit length, and the offset after it. Raises PduError when it does not fit."""
    first = start + 2
    if first > len(data):
        raise malformed(f"{where} lacks its length")
    end: int = first + _LENGTH.unpack_from(data, start)[0]
    if end > len(data):
        raise malformed(f"{where} declares {end - first} bytes, {len(data) - first} are left")
    return data[first:end], end


def find_uid(field: bytes) -> bytes | None:
    """The UID in a field, without the NULs or spaces that pad it at its end; None if there is none."""
    uid = field.rstrip(b"\0 ")  # at its end only: of "1.2" NUL ".3" one reader takes "1.2" and another all of it
    return uid if len(uid) <= _LONGEST_UID and _UID.fullmatch(uid) else None


def read_uid(field: bytes, where: str) -> bytes:
    """As `find_uid`, but raises PduError if there is none."""
    uid = find_uid(field)
    if uid is None:
        # Its bytes stay out of the message: after a wrong length they may be those of a passcode.
        raise malformed(f"{where} of {len(field)} bytes is not a UID")
    return uid


def shown_uid(field: bytes) -> str:
    """What the log may show of a field that is no UID: its digits and dots, and the next three bytes in hex.

    Not the rest, which may be a passcode after a wrong length.
    """
    start = _DIGITS_AND_DOTS.match(field)
    digits = start[0] if start is not None else b""
    strange = field[len(digits) :][:3].hex().upper()
    return f'"{digits.decode()}"{strange and f" and then {strange}H"} ({len(field)} bytes)'


def item(kind: int, body: bytes | bytearray) -> bytes:
    """One encoded item. Raises DoesNotFit when the body exceeds its 16-bit length."""
    length = len(body)
    if length > LONGEST:
        raise DoesNotFit(f"item {kind:02X}H would have {length} bytes, {LONGEST} fit")
    return _ITEM.pack(kind, length) + body


short_item = lru_cache(maxsize=2048)(item)
"""`item` with a cache: for UIDs and the like, which are short, not secret, and the same in every request."""


def counted_field(value: bytes) -> bytes:
    """A field preceded by its own 16-bit length. Raises DoesNotFit."""
    length = len(value)
    if length > LONGEST:
        raise DoesNotFit(f"a field would have {length} bytes, {LONGEST} fit")
    return _LENGTH.pack(length) + value

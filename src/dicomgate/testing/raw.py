"""PDUs as bytes, put together by hand, legal or not: nothing here is the code under test."""

from __future__ import annotations

from struct import pack
from typing import Any

DICOM = b"1.2.840.10008.3.1.1.1"
VERIFICATION = b"1.2.840.10008.1.1"
IMPLICIT = b"1.2.840.10008.1.2"
EXPLICIT = b"1.2.840.10008.1.2.1"

RELEASE_RQ = bytes.fromhex("05 00 00000004 00000000")
RELEASE_RP = bytes.fromhex("06 00 00000004 00000000")
ABORT = bytes.fromhex("07 00 00000004 0000 02 06")


def pdu(kind: int, body: bytes, *, length: int | None = None) -> bytes:
    """A PDU of this type; `length` where the header must lie."""
    return pack(">BxL", kind, len(body) if length is None else length) + body


def item(kind: int, body: bytes = b"", *, length: int | None = None, reserved: int = 0) -> bytes:
    """A variable item or sub-item."""
    return pack(">BBH", kind, reserved, len(body) if length is None else length) + body


def field(value: bytes, *, length: int | None = None) -> bytes:
    """A field after its own 16-bit length."""
    return pack(">H", len(value) if length is None else length) + value


APPLICATION_CONTEXT = item(0x10, DICOM)
MAXIMUM_LENGTH = item(0x51, pack(">L", 16384))
CLASS_UID = item(0x52, b"1.2.3.4")


def proposed(context: int = 1, *syntaxes: bytes, reserved: bytes = b"\0\0\0") -> bytes:
    """Item 20H; without sub-items, verification in implicit little endian."""
    return item(
        0x20, bytes((context,)) + reserved + b"".join(syntaxes or (item(0x30, VERIFICATION), item(0x40, IMPLICIT)))
    )


def answered(context: int = 1, result: int = 0, *syntaxes: bytes) -> bytes:
    """Item 21H; without sub-items, implicit little endian."""
    return item(0x21, bytes((context, 0, result, 0)) + b"".join(syntaxes or (item(0x40, IMPLICIT),)))


def login(kind: int = 2, primary: bytes = b"alice", secondary: bytes = b"", *, response: int = 0) -> bytes:
    """Item 58H."""
    return item(0x58, bytes((kind, response)) + field(primary) + field(secondary))


def user_information(*sub_items: bytes) -> bytes:
    """Item 50H: 51H, 52H and what is given."""
    return item(0x50, MAXIMUM_LENGTH + CLASS_UID + b"".join(sub_items))


def associate(
    kind: int, *items: bytes, version: int = 1, called: bytes = b"ANY-SCP", calling: bytes = b"ECHOSCU"
) -> bytes:
    """An A-ASSOCIATE-RQ (1) or -AC (2) of these items."""
    fixed = pack(">HH16s16s32x", version, 0, called.ljust(16), calling.ljust(16))
    return pdu(kind, fixed + b"".join(items))


def rq(*sub_items: bytes, context: bytes | None = None, **fixed: Any) -> bytes:
    """An A-ASSOCIATE-RQ for verification, with sub-items after 51H and 52H."""
    context = proposed() if context is None else context
    return associate(1, APPLICATION_CONTEXT, context, user_information(*sub_items), **fixed)


def ac(*sub_items: bytes, context: bytes | None = None, **fixed: Any) -> bytes:
    """The A-ASSOCIATE-AC that accepts `rq()`, with sub-items after 51H and 52H."""
    context = answered() if context is None else context
    return associate(2, APPLICATION_CONTEXT, context, user_information(*sub_items), **fixed)


def pdv(context: int, fragment: bytes, control: int = 2, *, length: int | None = None) -> bytes:
    """A presentation data value item: item-length, presentation-context-ID, message control header, fragment."""
    return pack(">LBB", len(fragment) + 2 if length is None else length, context, control) + fragment


def p_data(*values: bytes, length: int | None = None) -> bytes:
    """A P-DATA-TF of these values."""
    return pdu(4, b"".join(values), length=length)

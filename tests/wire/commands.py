"""Command sets put together by hand, legal or not: nothing here is the code under test (PS3.7 6.3.1, 9.3, E.1)."""

from __future__ import annotations

from collections.abc import Mapping
from struct import pack
from types import MappingProxyType

STORE, GET, FIND, MOVE, ECHO, CANCEL = 0x0001, 0x0010, 0x0020, 0x0021, 0x0030, 0x0FFF
EVENT_REPORT, N_GET, N_SET, ACTION, CREATE, DELETE = 0x0100, 0x0110, 0x0120, 0x0130, 0x0140, 0x0150
RSP = 0x8000
WITH_DATA_SET = (STORE, GET, FIND, MOVE, EVENT_REPORT, N_SET, ACTION, CREATE)
_REQUESTED_CLASS = (N_GET, N_SET, ACTION, DELETE)

VERIFICATION = b"1.2.840.10008.1.1"
CT = b"1.2.840.10008.5.1.4.1.1.2"
MR = b"1.2.840.10008.5.1.4.1.1.4"
FIND_STUDIES = b"1.2.840.10008.5.1.4.1.2.2.1"
MOVE_STUDIES = b"1.2.840.10008.5.1.4.1.2.2.2"
GET_STUDIES = b"1.2.840.10008.5.1.4.1.2.2.3"
FIND_PATIENTS = b"1.2.840.10008.5.1.4.1.2.1.1"
WORKLIST = b"1.2.840.10008.5.1.4.31"
_NOTHING: Mapping[int, bytes | None] = MappingProxyType({})


def us(number: int) -> bytes:
    """An unsigned short."""
    return pack("<H", number)


def element(number: int, value: bytes, *, group: int = 0, length: int | None = None) -> bytes:
    """An element in implicit VR, little endian; `length` where it must lie."""
    return pack("<HHL", group, number, len(value) if length is None else length) + value


def uid(value: bytes) -> bytes:
    """A UID, padded to an even length."""
    return value + b"\0" * (len(value) % 2)


def with_group_length(elements: bytes, *, off: int = 0) -> bytes:
    """The Command Group Length and these elements."""
    return element(0x0000, pack("<L", len(elements) + off)) + elements


def elements_of(field: int, sop_class: bytes = b"", message_id: int = 7, destination: bytes = b"") -> dict[int, bytes]:
    """The elements of a lawful command set, but for the Command Group Length; a response says "success"."""
    request, response = field & ~RSP, field >= RSP
    elements = {
        0x0100: us(field),
        (0x0120 if response or field == CANCEL else 0x0110): us(message_id),
        0x0800: us(1 if field in WITH_DATA_SET else 0x0101),
    }
    if sop_class:
        elements[0x0003 if request in _REQUESTED_CLASS and not response else 0x0002] = uid(sop_class)
    if response:
        elements[0x0900] = us(0)
    if request == STORE:
        elements[0x1000] = uid(b"1.2.3.%d" % message_id)
    if destination:
        elements[0x0600] = destination
    return elements


def command_set(
    field: int,
    sop_class: bytes = b"",
    message_id: int = 7,
    destination: bytes = b"",
    change: Mapping[int, bytes | None] = _NOTHING,
) -> bytes:
    """A whole command set. `change` replaces and adds elements, and with None takes them away."""
    elements = {**elements_of(field, sop_class, message_id, destination), **change}
    return with_group_length(
        b"".join(element(number, value) for number, value in sorted(elements.items()) if value is not None)
    )

"""The user information item 50H without the login: sub-items 51H to 57H (PS3.7 D.3.3)."""

from __future__ import annotations

import re
from functools import lru_cache
from struct import Struct
from typing import NamedTuple, TypeVar

from .items import MOST_ITEMS, counted, counted_field, find_uid, item, malformed, short_item

_U32 = Struct(">L")
_WINDOW = Struct(">HH")
_VERSION_NAME = re.compile(rb"[\x20-\x7e]{1,16}")  # PS3.7 D.3.3.2.3: 1 to 16 characters of ISO 646

LEAST_MAXIMUM_LENGTH = 8
"""A PDV item of 4 length bytes, context id, control header and an even fragment of at least 2 bytes."""


class RoleSelection(NamedTuple):
    """Sub-item 54H (PS3.7 D.3.3.4)."""

    sop_class: bytes
    scu: int
    scp: int

    def encode(self) -> bytes:
        """The item, header included."""
        return item(0x54, counted_field(self.sop_class) + bytes((self.scu, self.scp)))


class ExtendedNegotiation(NamedTuple):
    """Sub-item 56H (PS3.7 D.3.3.5); the application information is the service class's own and kept as it is."""

    sop_class: bytes
    information: bytes

    def encode(self) -> bytes:
        """The item, header included."""
        return item(0x56, counted_field(self.sop_class) + self.information)


class CommonExtendedNegotiation(NamedTuple):
    """Sub-item 57H (PS3.7 D.3.3.6), in an A-ASSOCIATE-RQ only."""

    sop_class: bytes
    service_class: bytes
    related: tuple[bytes, ...]

    def encode(self) -> bytes:
        """The item, header included; its version byte is where other items have a reserved one, and is 0."""
        related = b"".join([counted_field(uid) for uid in self.related])
        return item(0x57, counted_field(self.sop_class) + counted_field(self.service_class) + counted_field(related))


class Negotiation(NamedTuple):
    """What one side negotiates. None, or empty, means that the item is not in the PDU.

    `maximum_length` is the longest PDU-length of a P-DATA-TF that this side receives, and even; 0 is no limit
    (PS3.8 D.1).
    """

    maximum_length: int | None = None
    implementation_class_uid: bytes | None = None
    asynchronous_operations: tuple[int, int] | None = None
    role_selections: tuple[RoleSelection, ...] = ()
    implementation_version_name: bytes | None = None
    extended: tuple[ExtendedNegotiation, ...] = ()
    common_extended: tuple[CommonExtendedNegotiation, ...] = ()

    def encode(self) -> bytearray:
        """The sub-items, in ascending order of their types. Raises DoesNotFit."""
        items = bytearray()
        if self.maximum_length is not None:
            items += short_item(0x51, _U32.pack(self.maximum_length))
        if self.implementation_class_uid is not None:
            items += short_item(0x52, self.implementation_class_uid)
        if self.asynchronous_operations is not None:
            items += item(0x53, _WINDOW.pack(*self.asynchronous_operations))
        for role in self.role_selections:
            items += role.encode()
        if self.implementation_version_name is not None:
            items += short_item(0x55, self.implementation_version_name)
        for extended in self.extended:
            items += extended.encode()
        for common in self.common_extended:
            items += common.encode()
        return items


_ONCE = frozenset((0x51, 0x52, 0x53, 0x55))
_PerClass = TypeVar("_PerClass", RoleSelection, ExtendedNegotiation, CommonExtendedNegotiation)


class NegotiationReader:
    """Collects the sub-items 51H to 57H of one user information item.

    What only informs, or concerns a class that can be in no presentation context, is left out if its content is not
    what it should be; `left_out` is told. Lengths and duplicates are never forgiven.
    """

    __slots__ = ("_class_uid", "_common", "_extended", "_left_out", "_length", "_related", "_roles", "_seen",
                 "_version_name", "_window")  # fmt: skip

    def __init__(self, left_out: list[str]) -> None:
        self._left_out = left_out
        self._seen: set[int] = set()
        self._related = 0
        self._length: int | None = None
        self._class_uid: bytes | None = None
        self._window: tuple[int, int] | None = None
        self._version_name: bytes | None = None
        self._roles: dict[bytes, RoleSelection] = {}
        self._extended: dict[bytes, ExtendedNegotiation] = {}
        self._common: dict[bytes, CommonExtendedNegotiation] = {}

    def read(self, kind: int, body: bytes) -> None:
        """Take the body of one sub-item. Raises PduError if it is malformed, or came before with another content."""
        if kind in _ONCE:
            if kind in self._seen:
                raise malformed(f"sub-item {kind:02X}H is there twice")
            self._seen.add(kind)
        if kind == 0x51:
            self._length = _read_maximum_length(body)
        elif kind == 0x52:
            self._class_uid = self._known("an implementation class UID that is not a UID", find_uid(body))
        elif kind == 0x53:
            self._window = _read_window(body)
        elif kind == 0x54:
            self._add(self._roles, _read_role_selection(body), "a role selection")
        elif kind == 0x55:
            self._version_name = self._known(
                "an implementation version name that is not 1 to 16 printable ASCII characters",
                _read_version_name(body),
            )
        elif kind == 0x56:
            self._add(self._extended, _read_extended(body), "an extended negotiation")
        else:
            self._add(self._common, self._read_common(body), "a common extended negotiation")

    def negotiation(self) -> Negotiation:
        """All that was collected."""
        return Negotiation(
            self._length,
            self._class_uid,
            self._window,
            tuple(self._roles.values()),
            self._version_name,
            tuple(self._extended.values()),
            tuple(self._common.values()),
        )

    def _known(self, what: str, value: bytes | None) -> bytes | None:
        if value is None:
            self._left_out.append(what)
        return value

    def _add(self, known: dict[bytes, _PerClass], new: _PerClass | None, what: str) -> None:
        if new is None:
            message = f"{what} with a class that is not a UID"
            if message not in self._left_out:
                self._left_out.append(message)
        # DCMTK repeats a role selection for each context of a SOP class. Equal ones leave no doubt.
        elif known.setdefault(new.sop_class, new) != new:
            raise malformed(f"{what} that differs from another one for {new.sop_class.decode()}")

    def _read_common(self, body: bytes) -> CommonExtendedNegotiation | None:
        where = "a common extended negotiation"
        sop_class, position = counted(body, 0, f"the SOP class of {where}")
        service_class, position = counted(body, position, f"the service class of {where}")
        field, end = counted(body, position, f"the related classes of {where}")
        if end != len(body):
            raise malformed(f"{len(body) - end} bytes left over in {where}")
        classes = [find_uid(sop_class), find_uid(service_class)]
        position = 0
        while position < len(field):
            uid, position = counted(field, position, f"a related class of {where}")
            classes.append(find_uid(uid))
            self._related += 1
            if self._related > MOST_ITEMS:
                raise malformed(f"too many related classes in {where}")
        uids = [uid for uid in classes if uid is not None]
        return CommonExtendedNegotiation(uids[0], uids[1], tuple(uids[2:])) if len(uids) == len(classes) else None


@lru_cache(maxsize=512)
def _read_maximum_length(body: bytes) -> int:
    """Remembered, because the same few come in every request."""
    if len(body) != 4:
        raise malformed(f"sub-item 51H has {len(body)} bytes, not 4")
    length: int = _U32.unpack(body)[0]
    if 0 < length < LEAST_MAXIMUM_LENGTH:
        raise malformed(f"no PDV fits a maximum length of {length}")
    # PS3.8 annex E: fragments are of even length, so no PDU fills an odd maximum. Some peers try, and are told less.
    return length & ~1


def _read_window(body: bytes) -> tuple[int, int]:
    if len(body) != 4:
        raise malformed(f"sub-item 53H has {len(body)} bytes, not 4")
    invoked, performed = _WINDOW.unpack(body)
    return invoked, performed


def _read_version_name(body: bytes) -> bytes | None:
    """None for a name that is none. It is not shortened: that would be another name."""
    name = body.rstrip(b"\0")
    return name if _VERSION_NAME.fullmatch(name) else None


def _read_role_selection(body: bytes) -> RoleSelection | None:
    field, end = counted(body, 0, "the SOP class of a role selection")
    roles = body[end:]
    if len(roles) != 2 or max(roles) > 1:
        raise malformed("a role selection does not end with two bytes of 0 or 1")
    sop_class = find_uid(field)
    return None if sop_class is None else RoleSelection(sop_class, *roles)


def _read_extended(body: bytes) -> ExtendedNegotiation | None:
    field, end = counted(body, 0, "the SOP class of an extended negotiation")
    sop_class = find_uid(field)
    return None if sop_class is None else ExtendedNegotiation(sop_class, body[end:])

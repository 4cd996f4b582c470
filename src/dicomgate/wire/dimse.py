"""DIMSE command sets (PS3.7 6.3.1, annex E): strict decode of what came, and the gateway's responses.

Law: what two readers could read in two ways is refused. What has one reading passes: values padded with NULs or spaces,
a missing Command Group Length, elements of group 0000H that the standard does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from functools import lru_cache
from struct import Struct, error
from typing import NamedTuple

from ..kit.text import is_ae_title
from .items import malformed, read_uid
from .pdu import HEADER, LAST_FRAGMENT, OF_COMMAND, PDV, PDV_HEADER, PduType

LONGEST_COMMAND = 65_536
"""The most bytes of a command set that are read."""
NOT_AUTHORIZED = 0x0124
"""Status "Refused: Not authorized" (PS3.7 annex C)."""
SUCCESS = 0x0000
RESPONSE = 0x8000
"""The bit of a Command Field that says: a response (PS3.7 E.1)."""
NO_DATA_SET = 0x0101
"""Command Data Set Type: no data set follows. All other values say that one does (PS3.7 E.1)."""

# A longer value has two capital letters at its length, or could not be in a command set. Some readers take the letters
# for an explicit VR, and read other elements than these.
_LONGEST_VALUE = 0x4000
_LONGEST_UID = 64
# Of UL and AT, four bytes a value: where there are two, some readers take four, and read other elements behind them.
_IN_FOURS = (0x0001, 0x0901, 0x1005)
_MOST_ELEMENTS = 128  # the standard has 46; thousands of empty ones take milliseconds
_LONGEST_AE_TITLE = 16

_ELEMENT = Struct("<HHL")  # implicit VR, little endian (PS3.7 6.3.1)
_US = Struct("<H")
_UL = Struct("<L")
_NO_DATA_SET = _US.pack(NO_DATA_SET)
_GROUP_LENGTH, _AFFECTED_CLASS, _REQUESTED_CLASS, _COMMAND_FIELD = 0x0000, 0x0002, 0x0003, 0x0100
_MESSAGE_ID, _RESPONDED_TO, _MOVE_DESTINATION, _DATA_SET_TYPE = 0x0110, 0x0120, 0x0600, 0x0800
_STATUS, _AFFECTED_INSTANCE = 0x0900, 0x1000
_TYPE_OF_DATA_SET = _ELEMENT.pack(0, _DATA_SET_TYPE, _US.size)


class CommandField(IntEnum):
    """Command Field (0000,0100) of requests (PS3.7 table E.1-1). A response has the bit `RESPONSE` too."""

    C_STORE_RQ = 0x0001
    C_GET_RQ = 0x0010
    C_FIND_RQ = 0x0020
    C_MOVE_RQ = 0x0021
    C_ECHO_RQ = 0x0030
    N_EVENT_REPORT_RQ = 0x0100
    N_GET_RQ = 0x0110
    N_SET_RQ = 0x0120
    N_ACTION_RQ = 0x0130
    N_CREATE_RQ = 0x0140
    N_DELETE_RQ = 0x0150
    C_CANCEL_RQ = 0x0FFF

    def __str__(self) -> str:
        return self.name.replace("_", "-")


_STORE, _MOVE, _CANCEL = CommandField.C_STORE_RQ, CommandField.C_MOVE_RQ, CommandField.C_CANCEL_RQ
_NAME_REQUESTED = frozenset(  # the SOP class that they name is the Requested one; of all others, the Affected one
    {CommandField.N_GET_RQ, CommandField.N_SET_RQ, CommandField.N_ACTION_RQ, CommandField.N_DELETE_RQ}
)
_HAVE_DATA_SET: Mapping[int, bool] = {
    **dict.fromkeys((_STORE, CommandField.C_GET_RQ, CommandField.C_FIND_RQ, _MOVE), True),
    **dict.fromkeys((CommandField.C_ECHO_RQ, _CANCEL, CommandField.N_GET_RQ, CommandField.N_DELETE_RQ), False),
    **dict.fromkeys((_STORE | RESPONSE, CommandField.C_ECHO_RQ | RESPONSE), False),
}
"""By Command Field, where the standard leaves no choice (PS3.7 9.3 and 10.3)."""
# By Command Field: the request, whether it is a response to that, and whether a data set follows (None: either way).
_KNOWN: Mapping[int, tuple[CommandField, bool, bool | None]] = {
    field: (command, field >= RESPONSE, _HAVE_DATA_SET.get(field))
    for command in CommandField
    for field in (command, command | RESPONSE)
    if field != _CANCEL | RESPONSE  # there is none
}


class CommandSet(NamedTuple):
    """What a command set says of who may do what.

    `command` is the request, or, if `response` is true, the one that is answered. `message_id` is that of the request:
    its own, or of the one that a response or a C-CANCEL-RQ is about. `sop_class` is the Affected or Requested SOP Class
    UID, b"" where a response names none. `instance` is the Affected SOP Instance UID as it came. `destination` is the
    Move Destination of a C-MOVE-RQ.
    """

    command: CommandField
    response: bool
    message_id: int
    sop_class: bytes
    instance: bytes
    destination: str

    @classmethod
    def parse(cls, data: bytes) -> CommandSet:
        """Read a whole command set. Raises PduError (A-ABORT 2,6), and nothing else (PS3.7 6.3.1, 9.3, 10.3)."""
        values = _values(data)
        try:
            (field,), (data_set_type,) = _US.unpack(values[_COMMAND_FIELD]), _US.unpack(values[_DATA_SET_TYPE])
            command, response, with_data_set = _KNOWN[field]
            about_another = response or command is _CANCEL
            (message_id,) = _US.unpack(values[_RESPONDED_TO if about_another else _MESSAGE_ID])
        except (KeyError, error):
            raise malformed("a command set without a known Command Field, a Message ID and a Data Set Type") from None
        # Some readers go by the elements of a message, and not by its Command Field.
        if (_MESSAGE_ID if about_another else _RESPONDED_TO) in values or (_STATUS in values) is not response:
            raise malformed(f"{_name(command, response)} with or without elements that make it another message")
        if with_data_set is not None and with_data_set is not (data_set_type != NO_DATA_SET):
            raise malformed(f"{_name(command, response)} {'without' if with_data_set else 'with'} a data set")
        sop_class = _sop_class(values, command, optional=about_another)
        destination = ""
        if command is _MOVE and not response:
            destination = _ae_title(values.get(_MOVE_DESTINATION, b""))
        instance = values.get(_AFFECTED_INSTANCE, b"")
        return cls(command, response, message_id, sop_class, instance, destination)

    def __str__(self) -> str:
        return _name(self.command, self.response)


def status_of(response: bytes) -> int:
    """The Status of a response's command set. Raises PduError."""
    if len(status := _values(response).get(_STATUS, b"")) != _US.size:
        raise malformed("a response without a Status")
    return int.from_bytes(status, "little")


def has_data_set(data: bytes) -> bool:
    """Whether a data set follows this command set, lawful or not. Raises PduError if it does not say."""
    found = data.find(_TYPE_OF_DATA_SET)
    if found >= 0 and data.find(_TYPE_OF_DATA_SET, found + 1) < 0 and len(data) > found + _ELEMENT.size + 1:
        # A lawful command set has this element: what looks like it, and is there once, is the element.
        return not data.startswith(_NO_DATA_SET, found + _ELEMENT.size)
    position = 0
    while position + _ELEMENT.size <= len(data):
        group, element, length = _ELEMENT.unpack_from(data, position)
        position += _ELEMENT.size
        if (group, element) == (0, _DATA_SET_TYPE) and length == _US.size <= len(data) - position:
            return not data.startswith(_NO_DATA_SET, position)
        position += length
    raise malformed("a command set without a Command Data Set Type")


def _name(command: CommandField, response: bool) -> str:
    return str(command).replace("-RQ", "-RSP") if response else str(command)


def _values(data: bytes) -> dict[int, bytes]:
    """The value of each element of group 0000H. Raises PduError."""
    end = len(data)
    if end > LONGEST_COMMAND:
        raise malformed(f"a command set of more than {LONGEST_COMMAND} bytes")
    values: dict[int, bytes] = {}
    unpack, position, last = _ELEMENT.unpack_from, 0, -1
    try:
        for _ in range(_MOST_ELEMENTS):
            if position == end:
                break
            group, element, length = unpack(data, position)
            start = position + 8
            position = start + length
            if group or element <= last or length & 1 or length > _LONGEST_VALUE or position > end:
                raise malformed(_fault(group, element, length, last, end - start))
            last = element
            values[element] = data[start:position]
        else:
            raise malformed(f"a command set of {_MOST_ELEMENTS} elements or more")
    except error:
        raise malformed("a command set with bytes left over") from None
    for element in _IN_FOURS:
        if len(values.get(element, b"")) % 4:
            raise malformed(f"a command set whose element (0000,{element:04X}) is not of four bytes each")
    declared = values.get(_GROUP_LENGTH)
    if declared is not None and (len(declared) != _UL.size or _UL.unpack(declared)[0] != end - 12):
        raise malformed("a command set of another length than its Command Group Length")
    return values


def _fault(group: int, element: int, length: int, last: int, left: int) -> str:
    tag = f"({group:04X},{element:04X})"
    if group:
        return f"a command set with an element {tag} of another group"
    if element <= last:
        return f"a command set with {tag} after (0000,{last:04X}): elements stand once, in ascending order"
    most = min(left, _LONGEST_VALUE)
    return f"a command set whose element {tag} has {length} bytes; an even number up to {most} fits"


def _sop_class(values: Mapping[int, bytes], command: CommandField, *, optional: bool) -> bytes:
    affected, requested = _uid(values.get(_AFFECTED_CLASS, b"")), _uid(values.get(_REQUESTED_CLASS, b""))
    if affected and requested and affected != requested:
        raise malformed(f"{command} that names two SOP classes")
    if not optional and not (requested if command in _NAME_REQUESTED else affected):
        raise malformed(f"{command} that names no SOP class")
    return affected or requested


@lru_cache(maxsize=512)
def _uid(value: bytes) -> bytes:
    if len(value) > _LONGEST_UID:
        raise malformed(f"a command set with a SOP class UID of {len(value)} bytes")
    return read_uid(value, "the SOP class UID of a command set") if value else b""


def _ae_title(value: bytes) -> str:
    # PS3.5 table 6.2-1: at most 16 bytes, of which spaces at either end are not significant. Of a longer one some
    # readers take the first 16, of one with a backslash the first or the last title.
    title = value.rstrip(b"\0 ").lstrip(b" ").decode("latin-1")
    if len(value) > _LONGEST_AE_TITLE or not is_ae_title(title):
        raise malformed(f"{_MOVE} whose Move Destination is not one AE title")
    return title


def refused_response(command: CommandSet, context: int, maximum_length: int) -> bytes:
    """The response "Refused: Not authorized" to a C-STORE-RQ or C-MOVE-RQ, as P-DATA-TF PDUs (PS3.7 9.3.1.2, 9.3.4.2).

    `maximum_length` is that of its receiver, in bytes; 0 is no limit, and 8 the least there is.
    """
    elements = [
        (_AFFECTED_CLASS, command.sop_class + b"\0" * (len(command.sop_class) & 1)),
        (_COMMAND_FIELD, _US.pack(command.command | RESPONSE)),
        (_RESPONDED_TO, _US.pack(command.message_id)),
        (_DATA_SET_TYPE, _US.pack(NO_DATA_SET)),
        (_STATUS, _US.pack(NOT_AUTHORIZED)),
    ]
    if command.command is _STORE and len(command.instance) <= _LONGEST_UID:  # which a response may leave out
        elements.append((_AFFECTED_INSTANCE, command.instance))
    content = b"".join(_ELEMENT.pack(0, element, len(value)) + value for element, value in elements)
    return _in_pdus(_ELEMENT.pack(0, _GROUP_LENGTH, 4) + _UL.pack(len(content)) + content, context, maximum_length)


def _in_pdus(content: bytes, context: int, maximum_length: int) -> bytes:
    # PS3.8 annex E: fragments are of even length.
    room = (maximum_length - PDV_HEADER) & ~1 if maximum_length else len(content)
    pdus = b""
    for start in range(0, len(content), room):
        fragment = content[start : start + room]
        last = LAST_FRAGMENT if start + room >= len(content) else 0
        pdus += HEADER.pack(PduType.P_DATA_TF, PDV_HEADER + len(fragment))
        pdus += PDV.pack(2 + len(fragment), context, OF_COMMAND | last) + fragment
    return pdus

"""Command sets of DIMSE messages: `CommandSet.parse` (PS3.7 6.3.1).

Promise: it is read or refused with PduError. What is read is what pydicom reads. The response that refuses it is one
that can be read, in PDUs no longer than the client takes.
"""

from __future__ import annotations

from struct import pack
from warnings import catch_warnings

from pydicom import Dataset

from dicomgate.scu.dimse import command_pdu, decode_command
from dicomgate.wire.dimse import RESPONSE, CommandField, CommandSet, refused_response
from dicomgate.wire.pdu import HEADER, PDV_HEADER
from dicomgate.wire.reject_abort import PduError

from ..engine import Target

_MAXIMUM_LENGTH = 64


def _run(data: bytes) -> None:
    found = CommandSet.parse(data)
    with catch_warnings(action="ignore"):
        read = decode_command(data)
    number = "MessageIDBeingRespondedTo" if found.response or found.command is CommandField.C_CANCEL_RQ else "MessageID"
    field = found.command | (RESPONSE if found.response else 0)
    assert (read.CommandField, read.get(number)) == (field, found.message_id)
    named = {str(read.get(name) or "") for name in ("AffectedSOPClassUID", "RequestedSOPClassUID")} - {""}
    assert named == {found.sop_class.decode()} - {""}
    if found.destination:
        assert read.MoveDestination.rstrip("\0 ") == found.destination
    if found.command in (CommandField.C_STORE_RQ, CommandField.C_MOVE_RQ) and not found.response:
        assert CommandSet.parse(_content(refused_response(found, 1, _MAXIMUM_LENGTH))).message_id == found.message_id


def _content(pdus: bytes) -> bytes:
    """What stands in PDUs of one fragment each."""
    content = b""
    while pdus:
        length = HEADER.unpack_from(pdus)[1]
        assert length <= _MAXIMUM_LENGTH
        content += pdus[HEADER.size + PDV_HEADER : HEADER.size + length]
        pdus = pdus[HEADER.size + length :]
    return content


def _command(field: int, **elements: object) -> bytes:
    command = Dataset()
    command.CommandField = field
    command.CommandDataSetType = 0x0101
    command.update(elements)
    return command_pdu(1, command)[HEADER.size + PDV_HEADER :]


def _seeds() -> list[bytes]:
    study_root_move, ct = "1.2.840.10008.5.1.4.1.2.2.2", "1.2.840.10008.5.1.4.1.1.2"
    data = {"CommandDataSetType": 1, "Priority": 0}
    return [
        _command(0x0001, AffectedSOPClassUID=ct, MessageID=1, AffectedSOPInstanceUID="1.2.3", **data),
        _command(0x8001, AffectedSOPClassUID=ct, MessageIDBeingRespondedTo=1, Status=0, AffectedSOPInstanceUID="1.2.3"),
        _command(0x0021, AffectedSOPClassUID=study_root_move, MessageID=2, MoveDestination="WS_1", **data),
        _command(0x0030, AffectedSOPClassUID="1.2.840.10008.1.1", MessageID=3),
        _command(0x0FFF, MessageIDBeingRespondedTo=2),
        _command(0x0130, RequestedSOPClassUID="1.2.840.10008.1.20.1", MessageID=4, ActionTypeID=1),
    ]


_WORDS = (
    pack("<HHL4s", 0, 0x0600, 4, b"WS_9"),
    pack("<HHLH", 0, 0x0100, 2, 0x0021),
    pack("<HHLH", 0, 0x0110, 2, 7),
    pack("<HHL", 0, 0x1040, 0),
    pack("<HH2sH", 0, 0x0100, b"US", 2),
)
TARGET = Target("command_set", ("dicomgate.wire.dimse",), _run, (PduError,), _seeds, _WORDS)

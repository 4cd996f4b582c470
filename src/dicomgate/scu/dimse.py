"""DIMSE messages in P-DATA-TF PDUs: command sets and fragments (PS3.7 6.3.1, PS3.8 annex E)."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import NamedTuple

from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from ..wire.items import malformed
from ..wire.pdu import HEADER, LAST_FRAGMENT, OF_COMMAND, PDV, PDV_HEADER, PduType


class Fragment(NamedTuple):
    """A presentation data value: of which context, of a command or a data set, whether it is the last one of it."""

    context: int
    of_command: bool
    last: bool
    content: bytes


def fragments(pdu: bytes) -> Iterator[Fragment]:
    """The fragments of a whole P-DATA-TF PDU. Raises PduError."""
    start = HEADER.size
    while start < len(pdu):
        if len(pdu) - start < PDV_HEADER:
            raise malformed("a PDV lacks its header")
        length, context, control = PDV.unpack_from(pdu, start)
        start += PDV_HEADER
        if not 2 <= length <= len(pdu) - start + 2:
            raise malformed("a PDV does not fit")
        yield Fragment(
            context, bool(control & OF_COMMAND), bool(control & LAST_FRAGMENT), pdu[start : start + length - 2]
        )
        start += length - 2


def command_pdu(context: int, command: Dataset) -> bytes:
    """A P-DATA-TF PDU with the whole command set: implicit VR, little endian, its group length in front."""
    command.CommandGroupLength = len(_written(command))
    content = _written(command)
    pdv = PDV.pack(len(content) + 2, context, OF_COMMAND | LAST_FRAGMENT) + content
    return HEADER.pack(PduType.P_DATA_TF, len(pdv)) + pdv


def decode_command(content: bytes) -> Dataset:
    """The command set from the content of all its fragments. Raises PduError."""
    try:
        command = read_dataset(BytesIO(content), is_implicit_VR=True, is_little_endian=True)
        list(command)  # values are read when they are looked at
    except Exception as error:
        # Whatever the library raises: it promises nothing for bytes that are no data set.
        raise malformed("a command set that cannot be read") from error
    return command


def _written(command: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = True, True
    write_dataset(buffer, command)
    return bytes(buffer.getvalue())

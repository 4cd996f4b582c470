"""The PDUs that the load generator and the server send; made once, before anything is measured."""

from __future__ import annotations

from struct import pack

from dicomgate.contract import Identity, IdentityType
from dicomgate.wire.associate import AssociateAccept, AssociateRequest
from dicomgate.wire.presentation import AnsweredContext, ProposedContext
from dicomgate.wire.user_information import Negotiation

LAST_FRAGMENT = 2  # PS3.8 annex E.2: a bit of the message control header
VERIFICATION = b"1.2.840.10008.1.1"
CT_IMAGE_STORAGE = b"1.2.840.10008.5.1.4.1.1.2"
IMPLICIT_VR_LITTLE_ENDIAN = b"1.2.840.10008.1.2"
ECHO, BULK = "ECHO", "BULK"
"""Calling AE titles: they tell the server whether to answer each P-DATA-TF or only the end of an object."""
PASSCODE = b"correct horse battery"

RELEASE_RQ = b"\x05\0\0\0\0\x04\0\0\0\0"
RELEASE_RP = b"\x06\0\0\0\0\x04\0\0\0\0"
OBJECT_END = b"END OF IT."
"""The last bytes of an object: as long as an A-RELEASE-RQ, so that the server looks at nothing else."""
_NO_LIMIT = Negotiation(0, b"1.2.3.4")  # PS3.8 D.1: a maximum length of 0 is no limit


def associate_rq(calling: str, user: bytes = b"alice") -> bytes:
    """An A-ASSOCIATE-RQ with a username and passcode, as short as real ones for one context.

    It proposes Verification; with BULK, CT Image Storage.
    """
    sop_class = CT_IMAGE_STORAGE if calling == BULK else VERIFICATION
    context = ProposedContext(1, sop_class, (IMPLICIT_VR_LITTLE_ENDIAN,))
    identity = Identity(IdentityType.USERNAME_AND_PASSCODE, user, PASSCODE)
    return AssociateRequest("PACS", calling, (context,), _NO_LIMIT, identity).encode()


def associate_ac(calling: str) -> bytes:
    """The answer that accepts it."""
    request = AssociateRequest("PACS", calling, ())
    return AssociateAccept((AnsweredContext(1, 0, IMPLICIT_VR_LITTLE_ENDIAN),), _NO_LIMIT).encode(request)


def bulk_block(pdu_length: int, size: int = 1 << 20) -> bytes:
    """As many P-DATA-TF of that PDU length, with one PDV each, as make about `size` bytes."""
    pdu = pack(">BxLLBB", 4, pdu_length, pdu_length - 4, 1, 0) + b"\x55" * (pdu_length - 6)
    return pdu * max(1, size // len(pdu))


BULK_END = pack(">BxLLBB", 4, 8, 4, 1, LAST_FRAGMENT) + b"\x55\x55"
"""The last fragment of the object that blocks of bulk data are; STORE_RQ is before the first."""


def store_rq(size: int, pdu_length: int) -> bytes:
    """A C-STORE-RQ with an object of `size` bytes in PDUs of that length; it ends with OBJECT_END."""
    piece, rest = pdu_length - 6, b"\x55" * (size - len(OBJECT_END)) + OBJECT_END
    pdus = [STORE_RQ]
    for start in range(0, size, piece):
        fragment = rest[start : start + piece]
        last = LAST_FRAGMENT if start + piece >= size else 0
        pdus.append(pack(">BxLLBB", 4, len(fragment) + 6, len(fragment) + 2, 1, last) + fragment)
    return b"".join(pdus)


def _command(*elements: tuple[int, bytes]) -> bytes:
    """A DIMSE command in one PDV of one P-DATA-TF (PS3.7 6.3.1, PS3.8 annex E)."""
    body = b"".join(pack("<HHL", 0, element, len(value)) + value for element, value in elements)
    message = pack("<HHLL", 0, 0, 4, len(body)) + body
    # message control header 3: a command, and its last fragment
    return pack(">BxLLBB", 4, len(message) + 6, len(message) + 2, 1, 3) + message


_SOP_CLASS = (0x0002, VERIFICATION + b"\0")
_STORED_CLASS = (0x0002, CT_IMAGE_STORAGE + b"\0")
_INSTANCE = (0x1000, b"1.2.3.4\0")
_NO_DATA_SET = (0x0800, pack("<H", 0x0101))
ECHO_RQ = _command(_SOP_CLASS, (0x0100, pack("<H", 0x0030)), (0x0110, pack("<H", 1)), _NO_DATA_SET)
ECHO_RSP = _command(
    _SOP_CLASS, (0x0100, pack("<H", 0x8030)), (0x0120, pack("<H", 1)), _NO_DATA_SET, (0x0900, pack("<H", 0))
)
STORE_RQ = _command(
    _STORED_CLASS,
    (0x0100, pack("<H", 0x0001)),
    (0x0110, pack("<H", 1)),
    (0x0700, pack("<H", 0)),
    (0x0800, pack("<H", 0x0000)),
    _INSTANCE,
)
STORE_RSP = _command(
    _STORED_CLASS,
    (0x0100, pack("<H", 0x8001)),
    (0x0120, pack("<H", 1)),
    _NO_DATA_SET,
    (0x0900, pack("<H", 0)),
    _INSTANCE,
)

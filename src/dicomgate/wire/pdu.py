"""Cut a stream into PDUs before the association is established (PS3.8 9.3.1).

A PDU of a type that may not come now, or of a length that its type may not have, is refused on its header: its body is
neither waited for nor kept. Memory is used for what was received, never for what was declared.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from struct import Struct

from .foreign import foreign_protocol
from .reject_abort import INVALID_PARAMETER, UNEXPECTED_PDU, UNRECOGNIZED_PDU, Abort, NotDicom, PduError

HEADER = Struct(">BxL")
"""PDU-type, a reserved byte "not tested to this value when received", PDU-length."""
PDV = Struct(">LBB")
"""Item-length, presentation-context-ID, message control header (PS3.8 9.3.5.1, annex E.2)."""
PDV_HEADER = PDV.size
OF_COMMAND, LAST_FRAGMENT = 1, 2
"""The bits of a message control header."""


class PduType(IntEnum):
    """PDU-type (PS3.8 9.3.2 to 9.3.8)."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    P_DATA_TF = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7

    def __str__(self) -> str:
        return f"A-{self.name.replace('_', '-')}" if self is not PduType.P_DATA_TF else "P-DATA-TF"


PDU_TYPES = {kind.value: kind for kind in PduType}
"""By their numbers: a call of the enumeration takes ten times as long as a look."""
SHORT = (4, 4)
"""Least and greatest PDU-length of the PDUs that have a fixed size: RJ, RELEASE-RQ, RELEASE-RP and ABORT."""
SHORTEST_ASSOCIATE = 68
"""The fixed fields of an A-ASSOCIATE-RQ or -AC after its header."""


class PduReader:
    """Cuts one direction of one association into PDUs, however its bytes arrive.

    `expected` maps the types that may come now to their least and greatest PDU-length; it may be replaced between
    two PDUs. `out_of_turn` answers a type that exists but may not come now.
    """

    __slots__ = ("_received", "expected", "out_of_turn")

    def __init__(self, expected: Mapping[PduType, tuple[int, int]], out_of_turn: Abort = UNEXPECTED_PDU) -> None:
        self.expected = expected
        self.out_of_turn = out_of_turn
        self._received = bytearray()

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream; then call `next_pdu` until it returns None."""
        self._received += data

    @property
    def empty(self) -> bool:
        """True if nothing is left of what was fed."""
        return not self._received

    def rest(self) -> bytes:
        """Take out what was fed and is not a whole PDU yet; the reader is empty afterwards."""
        rest = bytes(self._received)
        self._received.clear()
        return rest

    def next_pdu(self) -> tuple[PduType, bytes] | None:
        """The next whole PDU as its type and all its bytes, header included; None if more must be fed first.

        Raises PduError when the header is not that of an expected PDU.
        """
        received = self._received
        if not received:
            return None
        # The type is judged on the first byte: a peer that speaks HTTP or TLS may never send the six of a header.
        if received[0] not in self.expected:
            raise self._wrong_type(received[0])
        if len(received) < HEADER.size:
            return None
        number, length = HEADER.unpack_from(received)
        kind = PDU_TYPES[number]
        least, greatest = self.expected[kind]
        if not least <= length <= greatest:
            hint = " (max_request_bytes of [gateway])" if kind is PduType.ASSOCIATE_RQ and length > greatest else ""
            message = f"{kind!s} of {length} bytes: {least} to {greatest} are allowed{hint}"
            raise PduError(message, INVALID_PARAMETER)
        end = HEADER.size + length
        if len(received) < end:
            return None
        pdu = bytes(received[:end])
        del received[:end]
        return kind, pdu

    def _wrong_type(self, kind: int) -> PduError:
        try:
            return PduError(f"{PduType(kind)!s} out of turn", self.out_of_turn)
        except ValueError:
            answer = UNRECOGNIZED_PDU if self.out_of_turn == UNEXPECTED_PDU else self.out_of_turn
            spoken = foreign_protocol(bytes(self._received))
            what = f"not DICOM: the peer speaks {spoken}" if spoken else f"not a DICOM PDU: its type is {kind:02X}H"
            return NotDicom(what, answer)

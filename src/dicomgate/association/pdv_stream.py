"""One direction of an established association, header by header as it passes (PS3.8 9.3.5 to 9.3.8).

Law: only P-DATA-TF, A-RELEASE-RQ, A-RELEASE-RP and A-ABORT; lengths that add up and stay within the receiver's maximum;
PDVs on accepted presentation contexts only; after a release nothing but an abort. A PDU whose first headers break the
law is not forwarded, not even in part, so that an A-ABORT can take its place.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum
from functools import lru_cache
from struct import Struct
from typing import TypeAlias

from ..wire.items import malformed
from ..wire.pdu import HEADER, LAST_FRAGMENT, PDU_TYPES, PDV, PDV_HEADER, PduType
from ..wire.reject_abort import UNEXPECTED_PDU, UNRECOGNIZED_PDU, PduError, Refusal, decode_refusal

_PDU_AND_PDV = Struct(">BxLLB")  # PDU header, item-length and presentation-context-ID of the first PDV
SHORT_PDU = 10  # A-RELEASE-RQ, A-RELEASE-RP and A-ABORT, whole
_ASSOCIATE = (PduType.ASSOCIATE_RQ, PduType.ASSOCIATE_AC, PduType.ASSOCIATE_RJ)
MOST_HELD = HEADER.size + PDV_HEADER - 1
MOST_HEADERS = 512
"""How many headers are looked at in one walk: a buffer full of the smallest PDUs would take 50 ms."""


class Mark(Enum):
    """What a stream of messages may have come to."""

    END = "the end of a message that was dropped, or behind which an answer waits"
    DROPPED = "nothing but bytes of a message that is dropped"


Found: TypeAlias = PduType | PduError | Mark
"""What `walk` found besides P-DATA that passes: a release (which passes), an abort, a violation, a message's end."""


@lru_cache(maxsize=128)
def _table(contexts: frozenset[int]) -> bytes:
    """1 for each context that is accepted; shared by both directions, and by all associations alike."""
    return bytes(context in contexts for context in range(256))


class PdvStream:
    """One direction of an established association, of which everything lawful passes.

    `maximum_length` is what the receiver of this direction negotiated; 0 is no limit (PS3.8 D.1). `pdus` counts the
    PDUs that began. `release_requested`, `released` and `aborted` say how the sender ends the association. `more` is
    true if the last walk ended early, after `MOST_HEADERS`.
    """

    __slots__ = ("_accepted", "_greatest", "_in_fragment", "_in_pdu", "aborted", "boundary", "control", "found",
                 "more", "pdus", "release_requested", "released")  # fmt: skip
    skipped = 0
    """How many bytes must be passed over from the offset that `walk` returned: none, since everything passes."""
    full = False
    """True if so much of the gateway's own waits for its turn in this direction that no more may be added."""

    def __init__(self, accepted: Collection[int], maximum_length: int) -> None:
        self._accepted = _table(frozenset(accepted))
        self._greatest = maximum_length or 0xFFFF_FFFF
        self._in_fragment = 0  # bytes still to come of the fragment under way
        self._in_pdu = 0  # bytes still to come of the PDU after that fragment
        self.control = 0  # the message control header that came last
        self.pdus = 0
        self.release_requested = False
        self.released = False
        self.aborted: Refusal | None = None
        self.found: Found | None = None
        self.more = False
        self.boundary = True

    @property
    def between_pdus(self) -> bool:
        """True if the receiver would read the next byte as the start of a PDU."""
        return not self._in_fragment and not self._in_pdu

    def walk(self, buffer: bytearray | bytes, end: int, other: PdvStream, start: int = 0) -> int:
        """Check what is in `buffer[start:end]`; return the offset up to which it may be forwarded now.

        The rest must be at the start of what is walked next: at most `MOST_HELD` bytes of an unfinished header or, with
        `more`, what there was no time for. `other` is the opposite direction. If there was anything besides P-DATA,
        `found` tells the last of it: a release passes, an abort does not, and nothing behind it is looked at. Nor does
        a violation pass; `boundary` then says whether the receiver is between two PDUs at the returned offset. In the
        middle of a PDU it would read an A-ABORT as data.
        """
        self.more = False
        if self.aborted is not None:
            return start
        unpack, accepted, greatest = _PDU_AND_PDV.unpack_from, self._accepted, self._greatest - 4
        position, safe, headers = start + self._in_fragment, -1, MOST_HEADERS
        self._in_fragment = 0
        try:
            while headers and position < end:
                headers -= 1
                left = end - position
                if self._in_pdu:
                    if left < PDV_HEADER:
                        return position
                    self._enter_pdv(*PDV.unpack_from(buffer, position))
                    position += PDV_HEADER + self._in_fragment
                    self._in_fragment = 0
                    continue
                safe = position
                if buffer[position] != PduType.P_DATA_TF or self.release_requested or self.released:
                    if not self._control(buffer, position, left, other):
                        return position
                    if self.aborted is not None:
                        return position
                    position += SHORT_PDU
                    continue
                if left < HEADER.size:
                    return position
                if left <= MOST_HELD:
                    # Judged now: a PDU too short to hold a PDV would never fill the twelve bytes.
                    self._check_length(HEADER.unpack_from(buffer, position)[1])
                    return position
                _, length, pdv_length, context = unpack(buffer, position)
                if (
                    length == pdv_length + 4
                    and 2 <= pdv_length <= greatest
                    and not pdv_length & 1
                    and accepted[context]
                ):
                    # One PDV that fills its PDU, as nearly all do: the same checks as below, without the calls.
                    whole = HEADER.size + length
                    if left > whole:
                        # So do those behind it that begin with the same bytes.
                        head = buffer[position : position + HEADER.size + PDV_HEADER]
                        while headers and buffer.startswith(head, position + whole, end):
                            headers -= 1
                            self.pdus += 1
                            position += whole
                    self.control = buffer[position + HEADER.size + PDV_HEADER - 1]
                    self.pdus += 1
                    position += whole
                else:
                    self._enter_pdu(length)
                    self._enter_pdv(pdv_length, context, buffer[position + HEADER.size + PDV_HEADER - 1])
                    position += HEADER.size + PDV_HEADER + self._in_fragment
                    self._in_fragment = 0
            if position < end:
                self.more = True
                return position
            self._in_fragment = position - end
            return end
        except PduError as error:
            self.found = error
            self.boundary = safe >= 0
            return max(safe, start)

    def _check_length(self, length: int) -> None:
        if not PDV_HEADER <= length <= self._greatest:
            raise malformed(f"P-DATA-TF of {length} bytes: {PDV_HEADER} to {self._greatest} are allowed")

    def _enter_pdu(self, length: int) -> None:
        self._check_length(length)
        self.pdus += 1
        self._in_pdu = length

    def _enter_pdv(self, length: int, context: int, control: int) -> None:
        # PS3.8 9.3.5.1: item-length counts the context id, the control header and the fragment; annex E: the
        # control header is always there, and fragments are of even length. A last one may be odd: it shows that the
        # data set is, which is none of ours, while any other would put the next one out of step.
        if length < 2 or (length & 1 and not control & LAST_FRAGMENT):
            raise malformed(f"a presentation data value of {length} bytes")
        if length + 4 > self._in_pdu:
            raise malformed(f"a presentation data value of {length} bytes, {self._in_pdu - 4} are left in its PDU")
        if not self._accepted[context]:
            raise malformed(f"a presentation data value on context {context}, which was not accepted")
        self.control = control
        self._in_pdu -= 4 + length
        self._in_fragment = length - 2
        if 0 < self._in_pdu < PDV_HEADER:
            raise malformed(f"{self._in_pdu} bytes left over in a P-DATA-TF")

    def _control(self, buffer: bytearray | bytes, position: int, left: int, other: PdvStream) -> bool:
        """Judge a PDU other than P-DATA-TF, or one after a release; False if more of it must come. Raises PduError."""
        kind = buffer[position]
        if kind not in (PduType.RELEASE_RQ, PduType.RELEASE_RP, PduType.ABORT):
            if kind == PduType.P_DATA_TF:
                raise PduError("P-DATA-TF after an A-RELEASE", UNEXPECTED_PDU)
            if kind in _ASSOCIATE:
                raise PduError(f"{PduType(kind)!s} inside an association", UNEXPECTED_PDU)
            raise PduError(f"a PDU of type {kind:02X}H inside an association", UNRECOGNIZED_PDU)
        if left < HEADER.size:
            return False
        length = HEADER.unpack_from(buffer, position)[1]
        if length != SHORT_PDU - HEADER.size:
            raise malformed(f"{PduType(kind)!s} of {length} bytes")
        if left < SHORT_PDU:
            return False
        if kind == PduType.ABORT:
            self.aborted = decode_refusal(buffer[position : position + SHORT_PDU])
        elif kind == PduType.RELEASE_RQ:
            if self.release_requested or self.released:
                raise PduError("a second A-RELEASE-RQ", UNEXPECTED_PDU)
            self.release_requested = True
        else:
            if not other.release_requested or self.released:
                raise PduError("A-RELEASE-RP without an A-RELEASE-RQ", UNEXPECTED_PDU)
            self.released = True
        self.found = PDU_TYPES[kind]
        self.pdus += 1
        return True

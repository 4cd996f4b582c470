"""A C-ECHO (PS3.7 9.1.5): the association for it, and its messages; bytes in, bytes out."""

from __future__ import annotations

from struct import Struct, pack

from ..contract import Identity
from .associate import AssociateAccept, AssociateRequest
from .dimse import NO_DATA_SET, CommandField, CommandSet, status_of
from .items import malformed
from .pdu import HEADER, LAST_FRAGMENT, OF_COMMAND, PDV, PDV_HEADER, SHORT, SHORTEST_ASSOCIATE, PduReader, PduType
from .presentation import ProposedContext
from .reject_abort import CALLED_AE_TITLE, CALLING_AE_TITLE, decode_refusal
from .user_information import Negotiation

CONTEXT = 1
"""The id of the one presentation context."""
VERIFICATION = b"1.2.840.10008.1.1"
MAXIMUM_LENGTH = 16_384
"""Bytes: the longest P-DATA-TF that this client receives."""

_IMPLICIT_VR_LITTLE_ENDIAN = b"1.2.840.10008.1.2"
_IMPLEMENTATION_CLASS_UID = b"2.25.221836491547027846370528418927363529281"
_IMPLEMENTATION_VERSION_NAME = b"DICOMGATE"
_LONGEST_ACCEPT = 262_144
_MOST_FRAGMENTS = 64  # of one response
_ABORT = {PduType.ABORT: SHORT}
_ANSWERS = {PduType.ASSOCIATE_AC: (SHORTEST_ASSOCIATE, _LONGEST_ACCEPT), PduType.ASSOCIATE_RJ: SHORT, **_ABORT}
_RESPONSES = {PduType.P_DATA_TF: (PDV_HEADER, MAXIMUM_LENGTH), **_ABORT}
_RELEASED = {PduType.RELEASE_RP: SHORT, **_ABORT}
_RELEASE_RQ = bytes((PduType.RELEASE_RQ, 0, 0, 0, 0, 4, 0, 0, 0, 0))
_ELEMENT = Struct("<HHL")  # implicit VR, little endian (PS3.7 6.3.1)


def verification_request(calling: str, called: str, identity: Identity | None) -> AssociateRequest:
    """An A-ASSOCIATE-RQ that proposes the Verification SOP class (PS3.4 annex A) in implicit VR, little endian."""
    return AssociateRequest(
        called,
        calling,
        (ProposedContext(CONTEXT, VERIFICATION, (_IMPLICIT_VR_LITTLE_ENDIAN,)),),
        Negotiation(
            maximum_length=MAXIMUM_LENGTH,
            implementation_class_uid=_IMPLEMENTATION_CLASS_UID,
            implementation_version_name=_IMPLEMENTATION_VERSION_NAME,
        ),
        identity,
    )


def _command_set(*elements: tuple[int, bytes]) -> bytes:
    content = b"".join(_ELEMENT.pack(0, element, len(value)) + value for element, value in elements)
    return _ELEMENT.pack(0, 0, 4) + pack("<L", len(content)) + content


def _in_one_pdu(command: bytes) -> bytes:
    pdv = PDV.pack(2 + len(command), CONTEXT, OF_COMMAND | LAST_FRAGMENT) + command
    return HEADER.pack(PduType.P_DATA_TF, len(pdv)) + pdv


# PS3.7 9.3.5.1: Affected SOP Class UID (of even length), Command Field, Message ID, Command Data Set Type
_ECHO_RQ = _command_set(
    (0x0002, VERIFICATION + b"\0"),
    (0x0100, pack("<H", CommandField.C_ECHO_RQ)),
    (0x0110, pack("<H", 1)),
    (0x0800, pack("<H", NO_DATA_SET)),
)
_NOT_OFFERED = (0x0122, 0x0211)  # PS3.7 9.1.5.1.4: SOP Class Not Supported, Unrecognized Operation
_UNKNOWN_HERE = (CALLING_AE_TITLE, CALLED_AE_TITLE)


class EchoTalk:
    """One association that asks for nothing but a C-ECHO; send its `request`, then what `take` returns.

    Once `answered`, only its release is to come. Once it is `done`, `problem` says why the peer is of no use now, ""
    if it is; `remark` what it does not like.
    """

    def __init__(self, calling: str, called: str) -> None:
        self.request = verification_request(calling, called, None).encode()
        self.answered = False
        self.done = False
        self.problem = ""
        self.remark = ""
        self._reader = PduReader(_ANSWERS)
        self._command = bytearray()
        self._fragments = 0

    def take(self, data: bytes) -> bytes:
        """What to send next, after these bytes of the peer's. Raises PduError."""
        self._reader.feed(data)
        answer = b""
        while not self.done and (found := self._reader.next_pdu()) is not None:
            answer += self._answer(*found)
        return answer

    def _answer(self, kind: PduType, pdu: bytes) -> bytes:
        match kind:
            case PduType.ASSOCIATE_AC:
                return self._accepted(AssociateAccept.parse(pdu))
            case PduType.P_DATA_TF:
                return self._responded(pdu)
            case PduType.RELEASE_RP:
                self.done = True
            case _:
                said = decode_refusal(pdu)
                self.done = True
                if said in _UNKNOWN_HERE:
                    self.remark = str(said)
                else:
                    self.problem = str(said)
        return b""

    def _accepted(self, accept: AssociateAccept) -> bytes:
        if not any(context.id == CONTEXT and context.accepted for context in accept.contexts):
            self.remark = "it does not accept the Verification SOP class"
            return self._release()
        self._reader.expected = _RESPONSES
        return _in_one_pdu(_ECHO_RQ)

    def _responded(self, pdu: bytes) -> bytes:
        position = HEADER.size
        while position < len(pdu):
            if len(pdu) - position < PDV_HEADER:
                raise malformed("a PDV lacks its header")
            length, context, control = PDV.unpack_from(pdu, position)
            end = position + length + 4
            self._fragments += 1
            if (
                length < 2
                or end > len(pdu)
                or context != CONTEXT
                or not control & OF_COMMAND
                or self._fragments > _MOST_FRAGMENTS
            ):
                raise malformed("an answer to a C-ECHO-RQ that is no C-ECHO-RSP")
            self._command += pdu[position + PDV_HEADER : end]
            if control & LAST_FRAGMENT:
                command = CommandSet.parse(bytes(self._command))
                if not command.response or command.command is not CommandField.C_ECHO_RQ:
                    raise malformed(f"{command} in answer to a C-ECHO-RQ")
                self._judge(status_of(bytes(self._command)))
                return self._release()
            position = end
        return b""

    def _judge(self, status: int) -> None:
        if status in _NOT_OFFERED:
            self.remark = f"it offers no C-ECHO (status {status:04X}H)"
        elif status:
            self.problem = f"its C-ECHO-RSP has the status {status:04X}H"

    def _release(self) -> bytes:
        self.answered = True
        self._reader.expected = _RELEASED
        return _RELEASE_RQ

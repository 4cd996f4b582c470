"""A small SCU of the Verification service class (PS3.4 annex A), over a blocking socket.

Rule: one deadline for the whole association, whatever the server sends and however slowly.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType

from pydicom import Dataset

from ..errors import NegativeAnswer, StartError
from ..net.tls import words
from ..net.tls_blocking import BlockingTls
from ..wire.associate import AssociateAccept, AssociateRequest
from ..wire.dimse import NO_DATA_SET, RESPONSE, CommandField
from ..wire.echo import CONTEXT, MAXIMUM_LENGTH, VERIFICATION
from ..wire.items import malformed
from ..wire.pdu import PDV_HEADER, SHORT, SHORTEST_ASSOCIATE, PduReader, PduType
from ..wire.reject_abort import CALLED_AE_TITLE, REFUSED_IDENTITY, PduError, Refusal, decode_refusal
from .dimse import command_pdu, decode_command, fragments

_MESSAGE_ID = 1
_LONGEST_ACCEPT = 262_144
_RELEASE = {kind: bytes((kind, 0, 0, 0, 0, 4, 0, 0, 0, 0)) for kind in (PduType.RELEASE_RQ, PduType.RELEASE_RP)}
_ABORT = {PduType.ABORT: SHORT}
_DATA = {PduType.P_DATA_TF: (PDV_HEADER, MAXIMUM_LENGTH), PduType.RELEASE_RQ: SHORT, **_ABORT}


class Client:
    """One association over a connected socket, which it closes. Raises StartError when the connection breaks.

    A refusal, an abort and a failed C-ECHO are NegativeAnswer.
    """

    def __init__(self, sock: socket.socket | BlockingTls, deadline: float) -> None:
        """`deadline` is a time of the monotonic clock."""
        self._socket = sock
        self._deadline = deadline
        self._reader = PduReader({})

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, PduError):
            with suppress(OSError, StartError):
                self._send(error.answer.encode())
        self._socket.close()
        if isinstance(error, PduError):
            raise StartError(f"what the server sends is not DICOM: {error}") from error

    def associate(self, request: AssociateRequest) -> AssociateAccept:
        """Ask for an association. Raises NegativeAnswer with the server's refusal in words."""
        self._send(request.encode())
        answers = {PduType.ASSOCIATE_AC: (SHORTEST_ASSOCIATE, _LONGEST_ACCEPT), PduType.ASSOCIATE_RJ: SHORT, **_ABORT}
        kind, pdu = self._receive(answers)
        if kind is not PduType.ASSOCIATE_AC:
            refusal = decode_refusal(pdu)
            raise NegativeAnswer(f"refused: {refusal}{_what_was_sent(refusal, request)}")
        accept = AssociateAccept.parse(pdu)
        # PS3.8 9.3.3.2: an answer to each proposed context, and a transfer syntax that was proposed for it.
        syntaxes = {context.id: context.transfer_syntaxes for context in request.contexts}
        if syntaxes.keys() != {context.id for context in accept.contexts} or any(
            context.accepted and context.transfer_syntax not in syntaxes[context.id] for context in accept.contexts
        ):
            raise malformed("it answers other presentation contexts than those proposed")
        return accept

    def echo(self) -> int:
        """C-ECHO: the status that the server answers (PS3.7 9.1.5)."""
        self._send(command_pdu(CONTEXT, _echo_request()))
        answer = decode_command(self._receive_command())
        expected = CommandField.C_ECHO_RQ | RESPONSE, _MESSAGE_ID
        if (answer.get("CommandField"), answer.get("MessageIDBeingRespondedTo")) != expected:
            raise malformed("the answer to the C-ECHO-RQ is no C-ECHO-RSP")
        status = answer.get("Status")
        if not isinstance(status, int):
            raise malformed("the C-ECHO-RSP has no status")
        return status

    def release(self) -> None:
        """End the association in good order (PS3.8 7.2); what the server still sends is passed over."""
        self._send(_RELEASE[PduType.RELEASE_RQ])
        while True:
            kind, pdu = self._receive({**_DATA, PduType.RELEASE_RP: SHORT})
            if kind is PduType.RELEASE_RP:
                return
            if kind is PduType.RELEASE_RQ:  # both at a time: PS3.8 7.2.2.1, release collision
                self._send(_RELEASE[PduType.RELEASE_RP])
            elif kind is PduType.ABORT:
                raise NegativeAnswer(f"aborted instead of released: {decode_refusal(pdu)}")

    def _receive_command(self) -> bytes:
        command = bytearray()
        while True:
            kind, pdu = self._receive(_DATA)
            if kind is PduType.ABORT:
                raise NegativeAnswer(f"aborted: {decode_refusal(pdu)}")
            if kind is PduType.RELEASE_RQ:
                self._send(_RELEASE[PduType.RELEASE_RP])
                raise NegativeAnswer("the server released the association instead of answering")
            for fragment in fragments(pdu):
                if fragment.context != CONTEXT or not fragment.of_command:
                    raise malformed("a PDV is of another context, or has no command")
                command += fragment.content
                if fragment.last:
                    return bytes(command)
            if len(command) > MAXIMUM_LENGTH:
                raise malformed("a command set without an end")

    def _send(self, pdu: bytes) -> None:
        try:
            self._socket.settimeout(self._left())
            self._socket.sendall(pdu)
        except OSError as error:
            raise StartError(f"the connection broke: {words(error)}") from error

    def _receive(self, expected: Mapping[PduType, tuple[int, int]]) -> tuple[PduType, bytes]:
        self._reader.expected = expected
        while (pdu := self._reader.next_pdu()) is None:
            try:
                self._socket.settimeout(self._left())
                data = self._socket.recv(65_536)
            except OSError as error:
                raise StartError(f"no answer: {words(error)}") from error
            if not data:
                raise StartError("no answer: the server closed the connection")
            self._reader.feed(data)
        return pdu

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def _echo_request() -> Dataset:
    command = Dataset()
    command.AffectedSOPClassUID = VERIFICATION.decode()
    command.CommandField = CommandField.C_ECHO_RQ
    command.MessageID = _MESSAGE_ID
    command.CommandDataSetType = NO_DATA_SET
    return command


def _what_was_sent(refusal: Refusal, request: AssociateRequest) -> str:
    """What the refusal may be about, where the codes alone do not tell what to change."""
    if refusal == CALLED_AE_TITLE:
        return f"; the called AE title was {request.called_ae_title}"
    return "; no user identity was sent" if refusal == REFUSED_IDENTITY and request.identity is None else ""

"""A PACS that knows nothing of users: it accepts every C-ECHO and C-STORE, and keeps no data set.

It needs no other DICOM library than the gateway's own, so the kit has it wherever the gateway is installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

from pydicom import Dataset

from ..contract import Identity
from ..scu.dimse import command_pdu, decode_command, fragments
from ..wire.associate import AssociateAccept, AssociateRequest
from ..wire.dimse import NO_DATA_SET, RESPONSE, SUCCESS
from ..wire.echo import MAXIMUM_LENGTH
from ..wire.pdu import PDV_HEADER, SHORT, SHORTEST_ASSOCIATE, PduReader, PduType
from ..wire.presentation import AnsweredContext
from ..wire.reject_abort import PduError
from ..wire.user_information import Negotiation

_IMPLEMENTATION_CLASS_UID = b"2.25.221836491547027846370528418927363529282"
_LONGEST_REQUEST = 262_144
_RELEASE_RP = bytes((PduType.RELEASE_RP, 0, 0, 0, 0, 4, 0, 0, 0, 0))
_REQUEST = {PduType.ASSOCIATE_RQ: (SHORTEST_ASSOCIATE, _LONGEST_REQUEST)}
_DATA = {PduType.P_DATA_TF: (PDV_HEADER, MAXIMUM_LENGTH), PduType.RELEASE_RQ: SHORT, PduType.ABORT: SHORT}


class Pacs:
    """A context manager: it listens on a port of 127.0.0.1 that the system chooses, until the block ends."""

    def __init__(self) -> None:
        self.identities: list[Identity | None] = []
        """The identities that reached it, one for each association; None is right."""
        self.echoes = 0
        self.stored: list[str] = []
        """The SOP Instance UIDs that were sent."""
        self._server = _Server(self)
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), name="PACS")

    def __enter__(self) -> Pacs:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return self._server.server_address[:2]  # type: ignore[return-value]


class _Server(ThreadingTCPServer):
    daemon_threads = True  # a client that stays connected must not keep the tests from ending

    def __init__(self, pacs: Pacs) -> None:
        super().__init__(("127.0.0.1", 0), _Association)
        self.pacs = pacs


class _Association(StreamRequestHandler):
    """One association, from its request to its end."""

    server: _Server
    disable_nagle_algorithm = True

    def handle(self) -> None:
        try:
            self._serve()
        except PduError as error:
            self.wfile.write(error.answer.encode())
        except ConnectionError:
            pass

    def _serve(self) -> None:
        reader = PduReader(_REQUEST)
        pdus = self._pdus(reader)
        for _, pdu in pdus:
            reader.expected = _DATA
            request = AssociateRequest.parse(pdu)
            self.server.pacs.identities.append(request.identity)
            self.wfile.write(_accept(request).encode(request))
            break
        command = bytearray()
        for kind, pdu in pdus:
            if kind is not PduType.P_DATA_TF:
                self.wfile.write(_RELEASE_RP if kind is PduType.RELEASE_RQ else b"")
                return
            for fragment in fragments(pdu):
                command += fragment.content if fragment.of_command else b""
                if fragment.last and (not fragment.of_command or not _announces_data(bytes(command))):
                    self.wfile.write(command_pdu(fragment.context, self._done(decode_command(bytes(command)))))
                    command.clear()

    def _pdus(self, reader: PduReader) -> Iterator[tuple[PduType, bytes]]:
        while data := self.connection.recv(65_536):
            reader.feed(data)
            while (pdu := reader.next_pdu()) is not None:
                yield pdu

    def _done(self, command: Dataset) -> Dataset:
        """Remember the request, and answer that it succeeded."""
        response = Dataset()
        response.AffectedSOPClassUID = command.AffectedSOPClassUID
        response.CommandField = command.CommandField | RESPONSE
        response.MessageIDBeingRespondedTo = command.MessageID
        response.CommandDataSetType = NO_DATA_SET
        response.Status = SUCCESS
        if "AffectedSOPInstanceUID" in command:
            response.AffectedSOPInstanceUID = command.AffectedSOPInstanceUID
            self.server.pacs.stored.append(str(command.AffectedSOPInstanceUID))
        else:
            self.server.pacs.echoes += 1
        return response


def _announces_data(command: bytes) -> bool:
    return bool(decode_command(command).CommandDataSetType != NO_DATA_SET)


def _accept(request: AssociateRequest) -> AssociateAccept:
    contexts = tuple(AnsweredContext(context.id, 0, context.transfer_syntaxes[0]) for context in request.contexts)
    return AssociateAccept(contexts, Negotiation(MAXIMUM_LENGTH, _IMPLEMENTATION_CLASS_UID))

"""The client of a scenario: pynetdicom, or a bare socket for what pynetdicom would not send."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from pydicom import Dataset, dcmwrite
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, PYNETDICOM_IMPLEMENTATION_UID, evt
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.sop_class import CTImageStorage, StudyRootQueryRetrieveInformationModelMove, Verification

from ..contract import Identity
from ..rights.services import word_of
from ..testing.checkpoint import REPAIRED
from ..wire.associate import AssociateAccept, AssociateRequest
from ..wire.dimse import SUCCESS
from ..wire.pdu import SHORT, SHORTEST_ASSOCIATE, PduReader, PduType
from ..wire.presentation import USER_REJECTION, ProposedContext
from ..wire.reject_abort import PduError, decode_refusal
from ..wire.user_information import Negotiation
from .pacs import MAXIMUM_LENGTH
from .scenarios import CLIENT, Accepted, Answer, Login, Scenario

_TIMEOUT = 20.0  # seconds; nothing here ever takes as long
_MOVE = StudyRootQueryRetrieveInformationModelMove
_PROPOSED = {1: Verification, 3: CTImageStorage, 5: _MOVE}
_LONGEST_ANSWER = 262_144
_ANSWERS = {
    PduType.ASSOCIATE_AC: (SHORTEST_ASSOCIATE, _LONGEST_ANSWER),
    PduType.ASSOCIATE_RJ: SHORT,
    PduType.ABORT: SHORT,
}


@dataclass
class Visit:
    """What the client saw. `answer` is None if none came; `problems` are services that failed."""

    answer: Answer | None = None
    stored: dict[str, str] = field(default_factory=dict)  # SOP Instance UID: SHA-256 of the data set's bytes
    moves: dict[str, int] = field(default_factory=dict)  # destination: status of the last response
    octets: int = 0
    seconds: float = 0.0  # that storing took
    problems: list[str] = field(default_factory=list)


def visit(
    scenario: Scenario, login: Login, address: tuple[str, int], slices: Iterable[Any], sent: Callable[[], None]
) -> Visit:
    """Carry out a scenario; `sent` is called after each slice."""
    if scenario.forge is not None:
        try:
            return Visit(_knock(address, scenario.forge(_request(scenario, login))))
        except (OSError, PduError) as error:
            return Visit(problems=[str(error)])
    return _associate(scenario, scenario.claim(login), address, slices, sent)


def _request(scenario: Scenario, login: Login) -> AssociateRequest:
    context = ProposedContext(1, Verification.encode(), (ExplicitVRLittleEndian.encode(),))
    negotiation = Negotiation(MAXIMUM_LENGTH, PYNETDICOM_IMPLEMENTATION_UID.encode())
    return AssociateRequest(scenario.called, CLIENT, (context,), negotiation, scenario.claim(login))


def _knock(address: tuple[str, int], pdus: bytes) -> Answer | None:
    """Send bytes, and return the answer to them. Raises OSError, and PduError for an answer that is not DICOM."""
    reader = PduReader(_ANSWERS)
    with socket.create_connection(address, _TIMEOUT) as connection:
        connection.sendall(pdus)
        while (pdu := reader.next_pdu()) is None:
            received = connection.recv(_LONGEST_ANSWER)
            if not received:
                return None
            reader.feed(received)
    return _answer(pdu[1])


def _answer(pdu: bytes) -> Answer:
    if pdu[0] == PduType.ASSOCIATE_AC:
        accept = AssociateAccept.parse(pdu)
        withheld = [_PROPOSED[one.id] for one in accept.contexts if one.result == USER_REJECTION]
        return Accepted(accept.server_response, tuple(word_of(uid.encode()) for uid in withheld))
    return decode_refusal(pdu)


def _associate(
    scenario: Scenario,
    identity: Identity | None,
    address: tuple[str, int],
    slices: Iterable[Any],
    sent: Callable[[], None],
) -> Visit:
    seen = Visit()

    def received(event: Any) -> None:
        # The first PDU as it came: pynetdicom's decoding could hide an error in it.
        if seen.answer is None and not seen.problems:
            try:
                seen.answer = _answer(event.data)
            except PduError as error:
                seen.problems.append(str(error))

    entity = AE(CLIENT)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = _TIMEOUT
    for uid in _PROPOSED.values():
        entity.add_requested_context(uid, ExplicitVRLittleEndian)
    association = entity.associate(
        *address,
        ae_title=scenario.called,
        max_pdu=MAXIMUM_LENGTH,
        ext_neg=[_negotiated(identity)] if identity is not None else [],
        evt_handlers=[REPAIRED, (evt.EVT_DATA_RECV, received)],
    )
    try:
        if association.is_established:
            _use(association, slices, sent, seen)
            for destination in scenario.moves:
                seen.moves[destination] = _move(association, destination)
            association.release()
    finally:
        entity.shutdown()
        for thread in (association, association.dul):
            if thread.ident is not None:  # the thread of a refused association never starts
                thread.join()
    return seen


def _negotiated(identity: Identity) -> Any:
    """The identity as pynetdicom wants it."""
    sub_item = UserIdentityNegotiation()
    sub_item.user_identity_type = identity.type.value
    sub_item.primary_field = identity.primary
    sub_item.secondary_field = identity.secondary
    sub_item.positive_response_requested = identity.positive_response_requested
    return sub_item


def _use(association: Any, slices: Iterable[Any], sent: Callable[[], None], seen: Visit) -> None:
    if association.send_c_echo().get("Status") != SUCCESS:
        seen.problems.append("the C-ECHO failed")
        return
    for image in slices:
        data_set = io.BytesIO()
        began = time.perf_counter()
        status = association.send_c_store(image).get("Status")
        seen.seconds += time.perf_counter() - began
        if status != SUCCESS:
            seen.problems.append(f"the C-STORE of slice {image.InstanceNumber} failed")
            return
        # The bytes that were sent, encoded by pydicom and not by the sender: the data set without its meta information.
        del image.file_meta
        dcmwrite(data_set, image, implicit_vr=False, little_endian=True)
        seen.stored[image.SOPInstanceUID] = sha256(data_set.getbuffer()).hexdigest()
        seen.octets += data_set.tell()
        sent()


def _move(association: Any, destination: str) -> int:
    """The status of the response to a C-MOVE of a study; -1 if none came."""
    query = Dataset()
    query.QueryRetrieveLevel, query.StudyInstanceUID = "STUDY", generate_uid()
    statuses = [status.get("Status", -1) for status, _ in association.send_c_move(query, destination, _MOVE)]
    return int(statuses[-1])

"""A PACS of pynetdicom: it stores, answers queries, and remembers what it was told of its peers.

Storage commitment is answered on the association that asks for it (PS3.4 J.3.3): an N-EVENT-REPORT travels from the
acceptor to the requestor, the one direction that no other service here uses.
"""

import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydicom.dataset import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, build_context, evt
from pynetdicom.dimse_messages import N_EVENT_REPORT_RQ
from pynetdicom.sop_class import (
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from ..checkpoint import REPAIRED
from .loopback import HOST, Address, free_port, wait_until

_SUCCESS, _PENDING, _NO_SUCH_ACTION = 0x0000, 0xFF00, 0x0123
_COMMITMENT_COMPLETE, _COMMITMENT_FAILURES = 1, 2  # event type IDs, PS3.4 J.3.3.1.1
_NO_SUCH_OBJECT = 0x0112  # failure reason, PS3.3 C.14.1.1
_PATIENCE = 20  # seconds; nothing here ever takes as long
_SERVICES = [
    Verification,
    StorageCommitmentPushModel,
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
]
_UNIQUE_KEY = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}


@dataclass(frozen=True)
class ReceivedIdentity:
    """A sub-item 58H as it reached the PACS."""

    type: int
    primary: bytes
    secondary: bytes
    positive_response_requested: bool


@dataclass(frozen=True)
class ReceivedAssociation:
    """An A-ASSOCIATE-RQ as it reached the PACS."""

    calling: str
    called: str
    identity: ReceivedIdentity | None


@dataclass
class PynetdicomPacs:
    """A context manager: an acceptor on 127.0.0.1, and nothing of it left afterwards."""

    services: ClassVar[Sequence[str]] = _SERVICES

    tls: ssl.SSLContext | None = None
    # The answer to an identity that asks for one: sent for types 3 to 5 only, so pynetdicom has it.
    server_response: bytes | None = None
    maximum_length: int | None = None  # pynetdicom's own
    move_destinations: dict[str, Address] = field(default_factory=dict)

    address: Address = field(init=False)
    associations: list[ReceivedAssociation] = field(default_factory=list, init=False)
    stored: dict[str, bytes] = field(default_factory=dict, init=False)  # SOP Instance UID: the data set's own bytes
    echoes: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._instances: list[Dataset] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> "PynetdicomPacs":
        self._entity = AE("PYNETDICOM")
        self._entity.maximum_associations = 100
        if self.maximum_length is not None:
            self._entity.maximum_pdu_size = self.maximum_length
        for context in AllStoragePresentationContexts:
            # Both roles: in a C-GET the requestor is the one that stores.
            self._entity.add_supported_context(context.abstract_syntax, scu_role=True, scp_role=True)
        for service in self.services:
            self._entity.add_supported_context(service)
        self.address = (HOST, free_port())
        context, handlers = self.tls, self.handlers()
        self._server = self._entity.start_server(self.address, block=False, ssl_context=context, evt_handlers=handlers)
        return self

    def handlers(self) -> list[tuple[Any, Any]]:
        """What answers each request."""
        return [
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_USER_ID, self._user_identity),
            (evt.EVT_C_ECHO, self._echo),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_FIND, self.find),
            (evt.EVT_C_GET, self._get),
            (evt.EVT_C_MOVE, self._move),
            (evt.EVT_N_ACTION, self._commit),
        ]

    def __exit__(self, *_: object) -> None:
        # pynetdicom aborts what is left, and raises an exception where no request has arrived (Sta2 of PS3.8 9.2).
        self._server.shutdown()
        with suppress(TimeoutError):
            wait_until(lambda: not self._without_request(), "connections without a request", timeout=2)
        self._entity.shutdown()
        for thread in self._threads:
            thread.join(timeout=_PATIENCE)
            assert not thread.is_alive(), f"{thread} did not end"

    def _without_request(self) -> list[Any]:
        return [
            one for one in self._entity.active_associations if one.dul.state_machine.current_state in ("Sta1", "Sta2")
        ]

    def _requested(self, event: Any) -> None:
        self._threads += [event.assoc, event.assoc.dul]
        requestor = event.assoc.requestor
        identity = requestor.user_identity
        self.associations.append(
            ReceivedAssociation(
                calling=requestor.primitive.calling_ae_title,
                called=requestor.primitive.called_ae_title,
                identity=identity
                and ReceivedIdentity(
                    type=identity.user_identity_type,
                    primary=identity.primary_field,
                    secondary=identity.secondary_field or b"",
                    positive_response_requested=identity.positive_response_requested,
                ),
            )
        )

    def _user_identity(self, _: Any) -> tuple[bool, bytes | None]:
        return True, self.server_response

    def _echo(self, _: Any) -> int:
        self.echoes += 1
        return _SUCCESS

    def _store(self, event: Any) -> int:
        self.stored[event.request.AffectedSOPInstanceUID] = event.request.DataSet.getvalue()
        instance = event.dataset
        instance.file_meta = event.file_meta
        self._instances.append(instance)
        return _SUCCESS

    def find(self, event: Any) -> Iterator[tuple[int, Dataset]]:
        """Answer a C-FIND, level by level."""
        query = event.identifier
        level = _UNIQUE_KEY[query.QueryRetrieveLevel]
        answered = set()
        for instance in self._matches(query):
            if instance[level].value not in answered:
                answered.add(instance[level].value)
                found = Dataset()
                found.QueryRetrieveLevel = query.QueryRetrieveLevel
                found.update({e.tag: instance[e.tag] for e in query if e.tag in instance})
                yield _PENDING, found

    def _get(self, event: Any) -> Iterator[Any]:
        matches = self._matches(event.identifier)
        yield len(matches)
        for instance in matches:
            yield _PENDING, instance

    def _move(self, event: Any) -> Iterator[Any]:
        destination = self.move_destinations.get(event.move_destination)
        if destination is None:
            yield None, None  # pynetdicom answers "move destination unknown"
            return
        classes = {instance.SOPClassUID for instance in self._matches(event.identifier)}
        contexts = [build_context(sop_class) for sop_class in sorted(classes)]
        yield *destination, {"contexts": contexts, "evt_handlers": [REPAIRED]}
        yield from self._get(event)

    def _matches(self, query: Dataset) -> list[Dataset]:
        wanted = [element for element in query if element.keyword in _UNIQUE_KEY.values() and element.value]
        return [instance for instance in self._instances if all(instance[e.tag].value == e.value for e in wanted)]

    def _commit(self, event: Any) -> tuple[int, None]:
        if event.action_type != 1:  # Request Storage Commitment, PS3.4 J.3.2.1.1
            return _NO_SUCH_ACTION, None
        # In a thread of its own, because this one sends the response. Two threads that send at the same time would mix
        # the fragments of their messages, which no receiver can tell apart (PS3.8 annex E). So the report waits before
        # its first fragment until the response is gone; and the response until the report has the association for
        # itself, or pynetdicom's reactor could take the answer to it.
        reporting, responded = threading.Event(), threading.Event()

        def message_sent(sent: Any) -> None:
            if isinstance(sent.message, N_EVENT_REPORT_RQ):
                reporting.set()
                responded.wait(_PATIENCE)

        event.assoc.bind(evt.EVT_DIMSE_SENT, message_sent)
        event.assoc.bind(evt.EVT_PDU_SENT, lambda _: responded.set())
        report = threading.Thread(target=self._report, args=(event.assoc, event.action_information))
        self._threads.append(report)
        report.start()
        reporting.wait(_PATIENCE)
        return _SUCCESS, None

    def _report(self, association: Any, request: Dataset) -> None:
        report = Dataset()
        report.TransactionUID = request.TransactionUID
        report.ReferencedSOPSequence = []
        failed = []
        for reference in request.ReferencedSOPSequence:
            if reference.ReferencedSOPInstanceUID in self.stored:
                report.ReferencedSOPSequence.append(reference)
            else:
                reference.FailureReason = _NO_SUCH_OBJECT
                failed.append(reference)
        if failed:
            report.FailedSOPSequence = failed
        association.send_n_event_report(
            report,
            _COMMITMENT_FAILURES if failed else _COMMITMENT_COMPLETE,
            StorageCommitmentPushModel,
            StorageCommitmentPushModelInstance,
        )

"""An embedded PACS that knows nothing of users: it accepts everything, and reports what it saw."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from threading import Thread
from typing import Any

from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage, StudyRootQueryRetrieveInformationModelMove, Verification

from ..wire.dimse import SUCCESS
from .folder import PACS

MAXIMUM_LENGTH = 131_072
"""Longest P-DATA-TF that PACS and client take: pynetdicom waits after each PDU, so there should be few."""
_HOST = "127.0.0.1"


@dataclass
class Sighting:
    """What the PACS saw in a while."""

    connections: int = 0
    identities: list[str] = field(default_factory=list)  # one for each association; "none" is right
    stored: dict[str, str] = field(default_factory=dict)  # SOP Instance UID: SHA-256 of the data set's bytes
    moves: list[str] = field(default_factory=list)  # the destination of each C-MOVE


class EmbeddedPacs:
    """A context manager: the PACS, on a port of 127.0.0.1 that the system chooses."""

    def __init__(self) -> None:
        self.port: int
        self._sighting = Sighting()
        self._threads: list[Thread] = []
        self._entity = AE(PACS)
        self._entity.maximum_pdu_size = MAXIMUM_LENGTH
        self._entity.add_supported_context(Verification)
        self._entity.add_supported_context(CTImageStorage, ExplicitVRLittleEndian)
        self._entity.add_supported_context(StudyRootQueryRetrieveInformationModelMove)

    def __enter__(self) -> EmbeddedPacs:
        handlers = [
            (evt.EVT_CONN_OPEN, self._connected),
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_MOVE, self._move),
        ]
        server = self._entity.start_server((_HOST, 0), block=False, evt_handlers=handlers)
        self.port = server.server_address[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._entity.shutdown()
        for thread in self._threads:
            thread.join()

    def take(self) -> Sighting:
        """What was seen since the last call."""
        sighting, self._sighting = self._sighting, Sighting()
        return sighting

    def _connected(self, event: Any) -> None:
        self._threads += [event.assoc, event.assoc.dul]
        self._sighting.connections += 1

    def _requested(self, event: Any) -> None:
        identity = event.assoc.requestor.user_identity
        self._sighting.identities.append("none" if identity is None else f"type {identity.user_identity_type}")

    def _store(self, event: Any) -> int:
        received = event.request.DataSet.getvalue()
        self._sighting.stored[event.request.AffectedSOPInstanceUID] = sha256(received).hexdigest()
        return SUCCESS

    def _move(self, event: Any) -> Iterator[Any]:
        self._sighting.moves.append(event.move_destination)
        yield _HOST, self.port
        yield 0  # of that study it has no image


@contextmanager
def closed_port() -> Iterator[int]:
    """A port of 127.0.0.1 that refuses every connection, and that no other process can take until the block ends."""
    with socket.socket() as bound:
        bound.bind((_HOST, 0))
        yield bound.getsockname()[1]


@contextmanager
def silent_pynetdicom() -> Iterator[None]:
    """Let pynetdicom log nothing: it prints passcodes at DEBUG."""
    logger = logging.getLogger("pynetdicom")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)

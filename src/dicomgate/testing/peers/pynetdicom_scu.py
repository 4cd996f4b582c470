"""pynetdicom as the client: one association for the length of a `with` block."""

import queue
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, Association, build_role, evt
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.sop_class import (
    CTImageStorage,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    Verification,
)

from ..checkpoint import REPAIRED
from .loopback import Address


@dataclass(frozen=True)
class CommitmentReport:
    """An N-EVENT-REPORT of storage commitment (PS3.4 J.3.3.1)."""

    event_type: int  # 1: all committed, 2: some failed
    information: Dataset


def user_identity(
    identity_type: int, primary: bytes, secondary: bytes = b"", *, positive_response_requested: bool = False
) -> UserIdentityNegotiation:
    """Return the sub-item 58H with these fields (PS3.7 D.3.3.7.1)."""
    item = UserIdentityNegotiation()
    item.user_identity_type = identity_type
    item.primary_field = primary
    item.secondary_field = secondary
    item.positive_response_requested = positive_response_requested
    return item


@contextmanager
def associate(
    address: Address,
    contexts: Sequence[UID] = (Verification, CTImageStorage),
    *,
    identity: UserIdentityNegotiation | None = None,
    calling: str = "PYNETDICOM",
    called: str = "ANY-SCP",
    tls: ssl.SSLContext | None = None,
    get: Mapping[str, bytes] | None = None,
    maximum_length: int | None = None,
) -> Iterator[Association]:
    """Request an association; release it, if it was established and still is, when the block ends.

    The association may have been refused: look at `is_established`, `is_rejected` and `is_aborted`. `get`, a
    dictionary, makes this client take what a C-GET sends (the storage contexts in the SCP role) and fills it:
    SOP Instance UID to the data set's bytes. `maximum_length` is what it announces, pynetdicom's own if None.
    """
    entity = AE(calling)
    if maximum_length is not None:
        entity.maximum_pdu_size = maximum_length
    for context in contexts:
        # One transfer syntax, that of our files: pynetdicom sends the bytes they hold.
        entity.add_requested_context(context, ExplicitVRLittleEndian)
    roles = [] if get is None else [build_role(uid, scp_role=True) for uid in contexts if uid == CTImageStorage]

    def store(event: evt.Event) -> int:
        assert isinstance(get, dict)
        get[event.request.AffectedSOPInstanceUID] = event.request.DataSet.getvalue()
        return 0x0000

    association = entity.associate(
        *address,
        ae_title=called,
        ext_neg=[*roles, *([identity] if identity else [])],
        tls_args=(tls, address[0]) if tls else None,
        evt_handlers=[REPAIRED, *([] if get is None else [(evt.EVT_C_STORE, store)])],
    )
    try:
        yield association
    finally:
        if association.is_established:
            association.release()
        entity.shutdown()
        for thread in (association, association.dul):
            if thread.ident is not None:  # the thread of an association that was refused never starts
                thread.join(timeout=20)
                assert not thread.is_alive(), f"{thread} did not end"


def commit(association: Association, images: Sequence[Dataset], timeout: float = 20) -> CommitmentReport:
    """Ask for storage commitment of the images, wait for the report on the same association and return it.

    Raises TimeoutError when none came, RuntimeError when the request was not successful.
    """
    reports: queue.Queue[tuple[CommitmentReport, threading.Thread]] = queue.Queue()

    def report(event: evt.Event) -> tuple[int, None]:
        reports.put((CommitmentReport(event.event_type, event.event_information), threading.current_thread()))
        return 0x0000, None

    association.bind(evt.EVT_N_EVENT_REPORT, report)
    request = Dataset()
    request.TransactionUID = generate_uid()
    request.ReferencedSOPSequence = []
    for image in images:
        reference = Dataset()
        reference.ReferencedSOPClassUID = image.SOPClassUID
        reference.ReferencedSOPInstanceUID = image.SOPInstanceUID
        request.ReferencedSOPSequence.append(reference)
    status, _ = association.send_n_action(request, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance)
    if "Status" not in status or status.Status != 0x0000:
        raise RuntimeError(f"N-ACTION: {status}")
    try:
        arrived, serving = reports.get(timeout=timeout)
    except queue.Empty:
        raise TimeoutError(f"no N-EVENT-REPORT within {timeout} s") from None
    serving.join()  # its response goes out before anything that the caller sends next
    return arrived

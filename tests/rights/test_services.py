"""Every SOP class that pydicom knows belongs to one service, with the requests that PS3.4 gives it."""

from __future__ import annotations

import re

import pytest
from pydicom._uid_dict import UID_dictionary

from dicomgate.rights.services import SERVICE_OF, SERVICES, named_on, requests_of, word_of
from dicomgate.rights.storage import STORAGE
from dicomgate.wire.dimse import CommandField

NEVER_ON_THE_NETWORK = {
    "1.2.840.10008.1.3.10": "Media Storage Directory: a file on media (PS3.10)",
    "1.2.840.10008.10.1": "DICOM-RTV (PS3.22) is RTP, not DIMSE",
    "1.2.840.10008.10.2": "DICOM-RTV",
    "1.2.840.10008.10.3": "DICOM-RTV",
    "1.2.840.10008.10.4": "DICOM-RTV",
}
KNOWN = {uid: name for uid, (name, kind, *_) in UID_dictionary.items() if kind in ("SOP Class", "Meta SOP Class")}


def uid(keyword: str) -> bytes:
    return str(next(uid for uid, row in UID_dictionary.items() if row[4] == keyword)).encode()


def test_no_sop_class_is_forgotten() -> None:
    """If this fails after an update of pydicom: add each of these to the service that it belongs to."""
    missing = {uid: name for uid, name in KNOWN.items() if uid.encode() not in SERVICE_OF}
    assert missing.keys() == NEVER_ON_THE_NETWORK.keys(), missing


def test_a_sop_class_belongs_to_one_service() -> None:
    assert sum(len(service.classes) for service in SERVICES.values()) == len(SERVICE_OF)


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        (r"Storage( - .*| SOP Class)?$", CommandField.C_STORE_RQ),
        (r"FIND$|Query( SOP Class)?$", CommandField.C_FIND_RQ),
        (r"MOVE$", CommandField.C_MOVE_RQ),
        (r"GET$", CommandField.C_GET_RQ),
    ],
)
def test_the_name_tells_the_request(name: str, request_: CommandField) -> None:
    named = [one for one, title in KNOWN.items() if re.search(name, title) and one not in NEVER_ON_THE_NETWORK]
    assert len(named) > 10
    assert [one for one in named if requests_of(one.encode()) != {request_}] == []
    assert {one for one in named if one.encode() in STORAGE} == (set(named) if name.startswith("Storage") else set())


@pytest.mark.parametrize(
    ("on", "named", "request_", "legal"),
    [
        ("BasicGrayscalePrintManagementMeta", "BasicFilmBox", CommandField.N_ACTION_RQ, True),
        ("BasicGrayscalePrintManagementMeta", "BasicColorImageBox", CommandField.N_SET_RQ, False),
        ("BasicGrayscalePrintManagementMeta", "BasicFilmSession", CommandField.C_STORE_RQ, False),
        ("UnifiedProcedureStepPull", "UnifiedProcedureStepPush", CommandField.N_SET_RQ, True),
        ("UnifiedProcedureStepPull", "UnifiedProcedureStepPush", CommandField.N_CREATE_RQ, False),
        ("UnifiedProcedureStepEvent", "UnifiedProcedureStepPush", CommandField.N_EVENT_REPORT_RQ, True),
        ("UnifiedProcedureStepPush", "UnifiedProcedureStepWatch", CommandField.N_CREATE_RQ, False),
        ("ModalityPerformedProcedureStepRetrieve", "ModalityPerformedProcedureStep", CommandField.N_GET_RQ, True),
        ("Verification", "Verification", CommandField.C_ECHO_RQ, True),
        ("Verification", "CTImageStorage", CommandField.C_STORE_RQ, False),
    ],
)
def test_what_a_command_on_a_context_may_be_and_name(on: str, named: str, request_: CommandField, legal: bool) -> None:
    context = uid(on)
    assert (request_ in requests_of(context) and uid(named) in {context, *named_on(context)}) == legal


def test_what_may_be_named_is_of_the_same_service() -> None:
    named = {context: named_on(context) for context in SERVICE_OF if named_on(context)}
    assert all(SERVICE_OF[context] is SERVICE_OF[one] for context, others in named.items() for one in others)
    assert {uid for uid, row in UID_dictionary.items() if row[1] == "Meta SOP Class"} <= {one.decode() for one in named}


def test_a_class_that_the_standard_does_not_know_is_taken_for_one_of_storage() -> None:
    assert word_of(b"1.2.840.113619.4.27") == "1.2.840.113619.4.27"
    assert requests_of(b"1.2.840.113619.4.27") == {CommandField.C_STORE_RQ}
    assert word_of(uid("CTImageStorage")) == "store"

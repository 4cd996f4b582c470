"""What an adapted handler sees in the gateway, held against what the same handler sees in an AE of pynetdicom."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import UID
from pynetdicom import AE, build_role, evt
from pynetdicom.association import ServiceUser
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ServiceParameter,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
)
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import CTImageStorage, StudyRootQueryRetrieveInformationModelGet, Verification

from dicomgate.testing import ask, attempt, passcode
from dicomgate.testing.peers.loopback import Address
from dicomgate.testing.peers.pynetdicom_pacs import PynetdicomPacs
from dicomgate.testing.peers.pynetdicom_scu import user_identity
from dicomgate.testing.system_gateway import Gateway, StartGateway, configuration
from dicomgate_pynetdicom import adapt
from plugins.pynetdicom.tests import hospital
from plugins.pynetdicom.tests.entities import entity
from plugins.pynetdicom.tests.hospital import seen_by_the_handler
from plugins.pynetdicom.tests.wards import GENUINE

SEEDS = Path(__file__).parents[4] / "shared" / "seeds"
PUBLIC = sorted(name for name in dir(ServiceUser) if not name.startswith("_"))
METHODS: dict[str, list[tuple[Any, ...]]] = {
    "get_contexts": [("requested",), ("supported",), ("pcdl",), ("pcdrl",)],
    "add_negotiation_item": [(build_role(CTImageStorage, scp_role=True),)],
    "remove_negotiation_item": [(build_role(CTImageStorage, scp_role=True),)],
    "reset_negotiation_items": [()],
}


def request_everything(address: Address) -> None:
    """An A-ASSOCIATE-RQ in which nothing is missing that pynetdicom can negotiate."""
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked, window.maximum_number_operations_performed = 3, 2
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid = StudyRootQueryRetrieveInformationModelGet
    extended.service_class_application_information = b"\x01\x00"
    common = SOPClassCommonExtendedNegotiation()
    common.sop_class_uid, common.service_class_uid = CTImageStorage, UID("1.2.840.10008.4.2")
    common.related_general_sop_class_identification = [UID("1.2.840.10008.5.1.4.1.1.88.22")]
    identity = user_identity(2, *GENUINE[2], positive_response_requested=True)
    scu = AE("CT 1")
    scu.implementation_class_uid = "1.2.3.4"
    scu.implementation_version_name = "CT_SOFTWARE_7"
    for context in (Verification, CTImageStorage, StudyRootQueryRetrieveInformationModelGet):
        scu.add_requested_context(context)
    negotiation = [build_role(CTImageStorage, scp_role=True), window, extended, common, identity]
    association = scu.associate(*address, ae_title="WARD", max_pdu=32_768, ext_neg=negotiation)
    assert association.is_established
    association.release()
    scu.shutdown()
    for thread in (association, association.dul):
        thread.join(timeout=20)


def plain(value: Any) -> Any:
    """A value of pynetdicom's that can be compared."""
    if isinstance(value, PresentationContext):
        return value.context_id, value.abstract_syntax, value.transfer_syntax, value.scu_role, value.scp_role
    if isinstance(value, ServiceParameter | A_ASSOCIATE):
        return type(value).__name__, plain(vars(value))
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list):
        # The gateway encodes anew, in the order of the items' types.
        return sorted((plain(one) for one in value), key=repr)
    return value


def answers(user: ServiceUser) -> dict[str, Any]:
    """What each public attribute of a ServiceUser answers, or what it raises."""
    found: dict[str, Any] = {}
    for name in [*PUBLIC, "primitive"]:
        for args in METHODS.get(name, [None]):
            try:
                value = getattr(user, name)
                found[f"{name}{args or ''}"] = plain(value if args is None else value(*args))
            except Exception as error:  # noqa: BLE001
                found[f"{name}{args or ''}"] = f"{type(error).__name__}: {error}"
    return found


def look(event: Any, into: list[Any]) -> tuple[bool, bytes | None]:
    association = event.assoc
    about = {
        name: plain(getattr(association, name))
        for name in ("mode", "is_acceptor", "is_requestor", "is_established", "is_rejected", "is_aborted",
                     "is_released", "accepted_contexts", "rejected_contexts", "local", "remote")
    }  # fmt: skip
    into.append((answers(association.requestor), answers(association.acceptor), about))
    return True, None


looked: list[Any] = []
"""Where `into` of the gateway's `look` is."""


def look_in_the_gateway(event: Any) -> tuple[bool, bytes | None]:
    return look(event, looked)


@contextmanager
def in_a_gateway(gateway: StartGateway, handler: str, **listener: Any) -> Iterator[Gateway]:
    with PynetdicomPacs() as pacs:
        tables = configuration(pacs.address, listener=listener)
        tables["authenticator"] = [{"use": "pynetdicom", "name": "ours", "handler": handler, "timeout": "20s"}]
        yield gateway(tables)


def test_every_attribute_says_what_it_says_in_pynetdicom(gateway: StartGateway) -> None:
    looked.clear()
    in_pynetdicom: list[Any] = []
    with entity((evt.EVT_USER_ID, look, [in_pynetdicom])) as address:
        request_everything(address)
    with in_a_gateway(gateway, f"{__name__}:look_in_the_gateway") as running:
        request_everything(running.address)
        here = running.address
    (theirs,), (ours,) = in_pynetdicom, looked
    for part in (*theirs, theirs[2]["remote"], theirs[2]["local"], *ours, ours[2]["remote"], ours[2]["local"]):
        part.pop("port", None)
        part.pop("info", None)
        part.pop("address_info", None)
    their_acceptor, our_acceptor = theirs[1], ours[1]
    # What the PACS supports nobody knows yet; an AE knows what it supports itself.
    for name in ("supported_contexts", "get_contexts('supported',)"):
        assert len(their_acceptor.pop(name)) == 2
        assert our_acceptor.pop(name) == []
    their_association, our_association = their_acceptor.pop("assoc", None), our_acceptor.pop("assoc", None)
    assert their_association is our_association is None
    assert ours[0] == theirs[0]
    assert our_acceptor == their_acceptor
    assert ours[2] == theirs[2]
    assert here[0] == our_acceptor["address"]
    requestor = ours[0]
    assert requestor["maximum_length"] == 32_768
    assert requestor["asynchronous_operations"] == (3, 2)
    assert requestor["ae_title"] == "CT 1"
    assert len(requestor["user_information"]) == 8
    assert requestor["primitive"][0] == "A_ASSOCIATE"


def test_addresses_and_ports(gateway: StartGateway) -> None:
    for bind, host in (("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1")):
        hospital.seen.clear()
        with in_a_gateway(gateway, "plugins.pynetdicom.tests.hospital:remember", bind=bind) as running:
            request_everything(running.address)
            ((event,),) = hospital.seen
            requestor, acceptor = event.assoc.requestor, event.assoc.acceptor
            assert (acceptor.address, acceptor.port) == running.address
            (opened,) = running.wait_for("Opened")
            assert (requestor.address, requestor.port) == (host, opened["port"])
            assert acceptor.address_info.is_ipv6 == (host == "::1")
            assert type(requestor) is type(acceptor) is ServiceUser


@pytest.mark.skipif(not SEEDS.is_dir(), reason="pynetdicom's documents are not here")
def test_every_attribute_that_the_documents_name_is_compared() -> None:
    texts = [path.read_text("utf-8") for path in sorted(SEEDS.glob("*.txt"))]
    (user,) = (text for text in texts if "Create a new ServiceUser" in text)
    (handler,) = (text for text in texts if "doc_handle_userid" in text)
    named = set(re.findall(r"^([a-z]\w+)(?:\(.*\))?$", user.partition("\naddress\n")[2], re.MULTILINE))
    named -= {"str", "int", "bytes"}  # the types of the first few
    assert len(named) >= 25
    assert named <= {"address", *PUBLIC, "primitive"}
    assert all(f"\n{name}\n" in user for name in ("ae_title", "role_selection", "user_information", "writeable"))
    of_the_event = set(re.findall(r"(\w+)\n: the", handler))
    assert of_the_event == {"assoc", "event", "primary_field", "secondary_field", "timestamp", "user_id_type"}
    event = seen_by_the_handler(attempt(passcode(*GENUINE[2])))
    assert all(getattr(event, name) is not None for name in of_the_event)


NOT_OFFERED = ("abort", "release", "kill", "acse", "dimse", "dul", "send_c_echo", "get_handlers", "lock", "name")


def test_what_is_not_offered_says_so_by_name() -> None:
    event = seen_by_the_handler(attempt(passcode(*GENUINE[2])))
    for name in NOT_OFFERED:
        with pytest.raises(AttributeError, match=rf"^assoc\.{name} is not offered"):
            getattr(event.assoc, name)
    with pytest.raises(AttributeError, match="not a C-STORE request"):
        _ = event.dataset
    with pytest.raises(RuntimeError, match=r"^assoc\.requestor is not offered: this attempt did not come as"):
        _ = event.assoc.requestor
    assert event.assoc.acceptor.ae_title == event.assoc.ae.ae_title == "PACS"


def test_only_what_is_looked_at_is_made() -> None:
    asked: list[int] = []

    def request() -> bytes:
        asked.append(1)
        return b""

    (decision,) = ask(adapt(hospital.handle_user_id), replace(attempt(passcode(*GENUINE[2])), request=request))
    assert decision.__class__.__name__ == "Accept"
    assert asked == []
